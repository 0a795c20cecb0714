//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// The tests in the files protocol_*_test.go are those of PROTOCOL.md's rules, by number, against a
// peer that speaks bytes; each file has a section of it, and that on bounds three.

// sized is a Request for echo whose data has n bytes, and the text in it.
func sized(id uint32, n int) (rawFrame, string) {
	overhead := len(request(id, "echo", strings.Repeat("x", n/2)).data) - n/2
	in := strings.Repeat("x", n-overhead)
	f := request(id, "echo", in)
	if len(f.data) != n {
		panic(fmt.Sprintf("%d bytes, not %d", len(f.data), n))
	}
	return f, in
}

func TestP1LimitIsInclusive(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		for _, limit := range []int{100, 4 << 20} {
			r := serve(t, ttrpc.WithServerMaxRecvMsgSize(limit))
			p := r.raw()
			f, in := sized(1, limit)
			p.send(f)
			p.wantAnswer(1, in)
			f, _ = sized(3, limit+1)
			p.send(f)
			p.wantStatus(3, codes.ResourceExhausted, fmt.Sprintf("message length %d exceed maximum message size of %d", limit+1, limit))
			p.wantUsable(5)
		}
	})
	t.Run("client", func(t *testing.T) {
		c, p := rawServer(t, "unix", ttrpc.WithClientMaxRecvMsgSize(100))
		for _, n := range []int{100, 101} {
			result := goCall(bg, c, "echo", "")
			f, _ := p.recvRequest()
			f.typ, f.data = 2, encode(&ttrpc.Response{Payload: encode(text(strings.Repeat("x", n-4)))})
			equal(t, len(f.data), n)
			p.send(f)
			if err := wait(t, result, "call"); n == 100 {
				check(t, err)
			} else {
				wantStatus(t, err, codes.ResourceExhausted, "message length 101 exceed maximum message size of 100")
			}
		}
	})
	t.Run("reserved byte", func(t *testing.T) {
		// A length of 16 MiB is over every limit, also the highest that can be set.
		r := serve(t, ttrpc.WithServerMaxRecvMsgSize(1<<24-1))
		p := r.raw()
		p.wantUsable(1) // nobody who speaks ttrpc begins so
		p.send(rawFrame{id: 3, typ: 1, data: make([]byte, 1<<24)})
		p.wantStatus(3, codes.ResourceExhausted, "message length 16777216 exceed maximum message size of 16777215")
		p.wantUsable(5)
		_, err := ttrpc.NewServer(ttrpc.WithServerMaxRecvMsgSize(1 << 24))
		if err == nil || err.Error() != "ttrpc: size out of range" {
			t.Error("got", err)
		}
	})
}

// Two hundred peers announce 4 MiB each and send a few bytes.
func TestP2MemoryGrowsWithWhatArrives(t *testing.T) {
	const peers, most = 200, 200 << 10
	claim := rawFrame{typ: 1, claim: 4 << 20, data: make([]byte, 100)}
	allocated := func(conns []net.Conn) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, conn := range conns {
			_, err := conn.Write(claim.bytes())
			check(t, err)
			_, err = conn.Write([]byte{0}) // taken into the buffer that the header asked for
			check(t, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	r := serve(t, network("pipe"))
	var clients, servers []net.Conn
	for range peers {
		clients = append(clients, r.raw().Conn)
		_, p := rawServer(t, "pipe")
		servers = append(servers, p.Conn)
	}
	if n := allocated(clients); n > peers*most {
		t.Errorf("a server allocated %d bytes for %d announcements", n, peers)
	}
	if n := allocated(servers); n > peers*most {
		t.Errorf("clients allocated %d bytes for %d announcements", n, peers)
	}
}

func TestP3OversizedFrameIsDropped(t *testing.T) {
	big := make([]byte, 100_000)
	r := serve(t, ttrpc.WithServerMaxRecvMsgSize(1000))
	text := "message length 100000 exceed maximum message size of 1000"
	var many, refused []rawFrame
	for id := uint32(1); id < 20; id += 2 {
		many = append(many, rawFrame{id: id, typ: 1, data: big})
		refused = append(refused, refusal(id, codes.ResourceExhausted, text))
	}
	r.run(t,
		exchange{"request", frames(rawFrame{id: 1, typ: 1, data: big}), frames(refusal(1, codes.ResourceExhausted, text))},
		exchange{"data", frames(rawFrame{id: 1, typ: 3, data: big}), frames(refusal(1, codes.ResourceExhausted, text))},
		exchange{"many", many, refused},
	)
	t.Run("client", func(t *testing.T) {
		c, p := rawServer(t, "unix", ttrpc.WithClientMaxRecvMsgSize(1000))
		p.send(rawFrame{id: 99, typ: 2, data: big}, rawFrame{id: 99, typ: 9, data: big})
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		p.send(answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	})
}

func TestP4UnknownTypesAreIgnored(t *testing.T) {
	r := serve(t)
	var ignored []rawFrame
	for _, typ := range []byte{0, 6, 9, 255, 2} {
		ignored = append(ignored, rawFrame{id: 1, typ: typ}, rawFrame{id: 3, typ: typ, flags: 7, data: []byte("abc")})
	}
	r.run(t, exchange{"server", append(ignored, request(1, "echo", "x")), frames(answer(1, "x"))})
	t.Run("client", func(t *testing.T) {
		c, p := rawServer(t, "unix")
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		for _, typ := range []byte{0, 4, 255} {
			p.send(rawFrame{id: f.id, typ: typ, data: []byte("abc")})
		}
		p.send(answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	})
}

func TestP5UnknownFlagsAreIgnored(t *testing.T) {
	r := serve(t)
	r.run(t,
		exchange{"request", frames(requestOf(1, 0xf8, &ttrpc.Request{Service: svc, Method: "echo"})), frames(rawFrame{id: 1, typ: 2})},
		exchange{"stream",
			frames(requestOf(1, 0xf8|6, &ttrpc.Request{Service: svc, Method: "chat"}), data(1, 0xf8, "a"), rawFrame{id: 1, typ: 3, flags: 0xfd}),
			frames(data(1, 0, "a"), closing(1))},
	)
	t.Run("client", func(t *testing.T) {
		c, p := rawServer(t, "unix")
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		f = answer(f.id, "x")
		f.flags = 0xff
		p.send(f)
		check(t, wait(t, result, "call"))

		cs := open(t, bg, c, both, "chat", nil)
		f, _ = p.recvRequest()
		p.send(data(f.id, 0xf8, "a"), data(f.id, 0xf8|1, "b"))
		wantTexts(t, cs, "a", "b")
	})
}

func TestP6FramesOfAStreamKeepTheirOrder(t *testing.T) {
	const n = 5000
	c := serve(t).client()
	cs := open(t, bg, c, both, "chat", nil)
	go func() {
		for i := range n {
			_ = cs.SendMsg(text(strconv.Itoa(i)))
		}
		_ = cs.CloseSend()
	}()
	for i := range n {
		wantNext(t, cs, strconv.Itoa(i))
	}
	wantTexts(t, cs)
}

// A call ends while a part of its frame is written: the rest follows, and other calls with it.
func TestP7FramesAreSentWhole(t *testing.T) {
	for _, transport := range []network{"unix", "tcp", "pipe"} {
		t.Run(string(transport), func(t *testing.T) {
			c, p := rawServer(t, transport)
			big := strings.Repeat("x", 4_000_000) // more than a socket's buffers
			ctx, cancel := context.WithCancel(bg)
			first := goCall(ctx, c, "echo", big)
			p.peek() // it is being written
			cancel()
			wantExactly(t, wait(t, first, "cancelled call"), context.Canceled)
			second := goCall(bg, c, "echo", "x")
			f, req := p.recvRequest()
			equal(t, f.id, 1)
			equal(t, len(req.Payload), len(encode(text(big))))
			f, _ = p.recvRequest()
			equal(t, f.id, 3)
			p.send(answer(3, "x"))
			check(t, wait(t, second, "call after it"))
		})
	}
}

// ends are ways in which a peer's bytes can end, and what both sides make of them.
var ends = []struct {
	name  string
	bytes []byte
	cause error
}{
	{"between frames", nil, io.EOF},
	{"after a frame", rawFrame{id: 99, typ: 9, data: []byte("x")}.bytes(), io.EOF},
	{"in a header", make([]byte, 5), io.ErrUnexpectedEOF},
	{"in data", rawFrame{id: 1, typ: 9, data: []byte("x"), claim: 5}.bytes(), io.ErrUnexpectedEOF},
	{"in large data", rawFrame{id: 1, typ: 9, data: make([]byte, 100_000), claim: 200_000}.bytes(), io.ErrUnexpectedEOF},
	{"in dropped data", rawFrame{id: 99, typ: 3, data: []byte("x"), claim: 5 << 20}.bytes(), io.ErrUnexpectedEOF},
}

func TestP8OnlyAnEndBetweenFramesIsOrderly(t *testing.T) {
	for _, end := range ends {
		t.Run("client/"+end.name, func(t *testing.T) {
			c, p := rawServer(t, "unix")
			result := goCall(bg, c, "echo", "x")
			p.recv()
			_, err := p.Write(end.bytes)
			check(t, err)
			p.Close()
			err = wait(t, result, "call")
			wantIs(t, err, ttrpc.ErrClosed)
			wantIs(t, c.Err(), ttrpc.ErrClosed, end.cause)
			if errors.Is(end.cause, io.ErrUnexpectedEOF) {
				wantIs(t, err, io.ErrUnexpectedEOF)
			} else {
				wantExactly(t, err, ttrpc.ErrClosed)
			}
		})
		t.Run("server/"+end.name, func(t *testing.T) {
			var log logBuffer
			r := serve(t, ttrpc.WithServerLogger(log.logger()))
			p := r.raw()
			p.wantUsable(1)
			_, err := p.Write(end.bytes)
			check(t, err)
			check(t, p.Conn.(*net.UnixConn).CloseWrite())
			p.wantEndAfterAnswers()
			check(t, r.Shutdown(bg)) // by now it has been logged
			logged := strings.Contains(log.String(), io.ErrUnexpectedEOF.Error())
			equal(t, logged, errors.Is(end.cause, io.ErrUnexpectedEOF))
		})
	}
}
