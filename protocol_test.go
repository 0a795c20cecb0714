//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/containerd/ttrpc"
)

// The tests here are those of PROTOCOL.md's rules, by number, against a peer that speaks bytes.

// exchange is what a client sends, all at once, and what a server answers, in this order.
type exchange struct {
	name string
	send []rawFrame
	want []rawFrame
}

// run plays exchanges, each on a connection of its own that has to be usable after it.
func (r *rig) run(t *testing.T, exchanges ...exchange) {
	t.Helper()
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			p := newRawPeer(t, r.conn())
			p.send(x.send...)
			for _, want := range x.want {
				p.want(want)
			}
			p.wantUsable(999)
		})
	}
}

func frames(f ...rawFrame) []rawFrame { return f }

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
		p.send(rawFrame{id: 1, typ: 1, data: make([]byte, 1<<24)})
		p.wantStatus(1, codes.ResourceExhausted, "message length 16777216 exceed maximum message size of 16777215")
		p.wantUsable(3)
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
	for _, typ := range []byte{0, 4, 9, 255, 2} {
		ignored = append(ignored, rawFrame{id: 1, typ: typ}, rawFrame{id: 2, typ: typ, flags: 7, data: []byte("abc")})
	}
	r.run(t, exchange{"server", append(ignored, request(1, "echo", "x")), frames(answer(1, "x"))})
	t.Run("client", func(t *testing.T) {
		c, p := rawServer(t, "unix")
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		for _, typ := range []byte{0, 1, 4, 255} {
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

func TestP6OrderOfAStream(t *testing.T) {
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
	{"in dropped data", rawFrame{id: 99, typ: 9, data: []byte("x"), claim: 5 << 20}.bytes(), io.ErrUnexpectedEOF},
}

func TestP8EndOfBytes(t *testing.T) {
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

// wantEndAfterAnswers reads what there is, to the end of the connection.
func (p *rawPeer) wantEndAfterAnswers() {
	for {
		if _, err := p.receive(); err != nil {
			return
		}
	}
}

func TestP9IdsAreOdd(t *testing.T) {
	c, p := rawServer(t, "unix")
	for i := range 5 {
		if i%2 == 0 {
			goCall(bg, c, "echo", "x")
		} else {
			open(t, bg, c, both, "chat", nil)
		}
		equal(t, p.recv().id, uint32(2*i+1))
	}
}

// Hundreds of goroutines open calls and streams, with contexts that end and without.
func TestP10IdsIncreaseOnTheWire(t *testing.T) {
	const callers, each = 50, 20
	c, p := rawServer(t, "unix")
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	for i := range callers {
		go func() {
			for range each {
				switch i % 3 {
				case 0:
					_, _ = c.NewStream(ctx, both, svc, "chat", nil)
				case 1:
					go func() { _, _ = call(ctx, c, "echo", strings.Repeat("x", 100*i)) }()
				case 2:
					go func() { _, _ = call(bg, c, "echo", "x") }()
				}
			}
		}()
	}
	for i := range callers * each {
		f := p.recv()
		equal(t, f.typ, 1)
		equal(t, f.id, uint32(2*i+1))
	}
}

func TestP11IdsRunOut(t *testing.T) {
	c, p := rawServer(t, "unix")
	ttrpc.SetNextStreamID(c, math.MaxUint32-2)
	first, second := goCall(bg, c, "echo", "x"), goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, math.MaxUint32-2)
	equal(t, p.recv().id, math.MaxUint32)
	_, err := call(bg, c, "echo", "x")
	wantIs(t, err, ttrpc.ErrClosed, ttrpc.ErrStreamIDsExhausted)
	_, err = c.NewStream(bg, both, svc, "chat", nil)
	wantIs(t, err, ttrpc.ErrClosed, ttrpc.ErrStreamIDsExhausted)
	check(t, c.Err()) // those in flight go on
	p.send(answer(math.MaxUint32-2, "x"), answer(math.MaxUint32, "x"))
	check(t, wait(t, first, "call in flight"))
	check(t, wait(t, second, "call in flight"))
	p.wantEnd()
	wantIs(t, c.Err(), ttrpc.ErrClosed, ttrpc.ErrStreamIDsExhausted)
}

// A server gets everything that it answers in different ways, and answers each id once.
func TestP12OneAnswerEach(t *testing.T) {
	g := newGate()
	r := serve(t, withMethod("gated", g.unary()))
	p := r.raw()
	var id uint32 = 1
	want := map[uint32]bool{}
	for range 50 {
		for _, f := range []rawFrame{
			request(0, "echo", "x"), request(0, "fail", "x"), request(0, "none", "x"),
			requestOf(0, 0, &ttrpc.Request{Service: "none"}), {typ: 1, data: []byte{0xff}},
			requestOf(0, 0, &ttrpc.Request{Service: svc, Method: "hold", TimeoutNano: 1}),
			requestOf(0, 1, &ttrpc.Request{Service: svc, Method: "list", Payload: encode(text("2"))}),
			request(0, "gated", "x"), // when this one runs all before it has been read
		} {
			f.id = id
			p.send(f)
			want[id] = true
			id += 2
		}
	}
	for range 50 {
		wait(t, g.started, "gated call")
	}
	shut := make(chan error, 1)
	go func() { shut <- r.Shutdown(bg) }()
	g.open()
	for {
		f, err := p.receive()
		if err != nil {
			break
		}
		if f.typ == 3 && f.flags&1 == 0 {
			continue // a message of a stream
		}
		if !want[f.id] {
			t.Errorf("answer for nothing: %v", f)
		}
		delete(want, f.id)
	}
	if len(want) > 0 {
		t.Errorf("no answer for %v", want)
	}
	check(t, wait(t, shut, "Shutdown"))
}

func TestP13SlowCallHoldsUpNoOther(t *testing.T) {
	g := newGate()
	p := serve(t, withMethod("gated", g.unary()), withStream("gatedStream", g.stream())).raw()
	p.send(request(1, "gated", "slow"), opening(3, "gatedStream"))
	for id := uint32(5); id < 200; id += 2 {
		p.wantUsable(id)
	}
	g.open()
	p.wantAnswer(1, "slow")
}

// field is an encoded field of bytes.
func field(number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
}

// number is an encoded varint field.
func number(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

func TestP14EnvelopesAreProtobuf(t *testing.T) {
	service, method := field(1, []byte(svc)), field(2, []byte("echo"))
	payload := field(3, encode(text("x")))
	requests := map[string][]byte{
		"other order":       slices.Concat(payload, number(4, 1<<40), method, service),
		"last counts":       slices.Concat(field(1, []byte("none")), field(3, encode(text("y"))), service, method, payload),
		"unknown fields":    slices.Concat(number(9, 5), service, field(100, []byte("abc")), method, payload),
		"other wire type":   slices.Concat(service, number(1, 7), method, payload, field(4, []byte("soon"))),
		"defaults spelled":  slices.Concat(service, method, payload, number(4, 0), field(5, nil)),
		"long tags":         slices.Concat(service, method, []byte{0x9a, 0x00}, payload[1:]),
		"default then text": slices.Concat(service, method, field(3, nil), payload),
	}
	r := serve(t)
	for name, b := range requests {
		r.run(t, exchange{name, frames(rawFrame{id: 1, typ: 1, data: b}), frames(answer(1, "x"))})
	}
	responses := map[string][]byte{
		"other order":      slices.Concat(number(9, 1), field(2, encode(text("x")))),
		"last counts":      slices.Concat(field(2, encode(text("y"))), field(2, encode(text("x")))),
		"defaults spelled": slices.Concat(field(1, nil), field(2, encode(text("x")))),
	}
	c, p := rawServer(t, "unix")
	answerWith := func(b []byte) (string, error) {
		t.Helper()
		result := goCall(bg, c, "echo", "x")
		f, _ := p.recvRequest()
		p.send(rawFrame{id: f.id, typ: 2, data: b})
		return "", wait(t, result, "call")
	}
	for name, b := range responses {
		t.Run("response/"+name, func(t *testing.T) {
			_, err := answerWith(b)
			check(t, err)
		})
	}
	// A status in two parts is merged.
	_, err := answerWith(slices.Concat(field(1, number(1, 5)), field(1, field(2, []byte("gone")))))
	wantStatus(t, err, codes.NotFound, "gone")
}

func TestP15SuccessHasNoStatus(t *testing.T) {
	r := serve(t)
	r.run(t,
		exchange{"empty reply", frames(request(1, "empty", "")), frames(rawFrame{id: 1, typ: 2})},
		exchange{"reply", frames(request(1, "echo", "x")), frames(rawFrame{id: 1, typ: 2, data: field(2, encode(text("x")))})},
	)
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c, p := rawServer(t, "unix", ttrpc.WithUnaryClientInterceptor(interceptor))
		resp := make(chan string, 1)
		go func() {
			out, err := call(bg, c, "echo", "")
			resp <- fmt.Sprint(out, err)
		}()
		f, _ := p.recvRequest()
		f.typ, f.data = 2, encode(&ttrpc.Response{Status: &spb.Status{Message: "fine"}, Payload: encode(text("x"))})
		p.send(f)
		equal(t, wait(t, resp, "call"), "x<nil>")
	}
}

// passOn is an interceptor that does nothing.
func passOn(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
	return invoke(ctx, req, resp)
}

func TestP16Names(t *testing.T) {
	serve(t).run(t,
		exchange{"nothing", frames(rawFrame{id: 1, typ: 1}), frames(refusal(1, codes.Unimplemented, "service "))},
		exchange{"no method", frames(requestOf(1, 0, &ttrpc.Request{Service: svc})), frames(refusal(1, codes.Unimplemented, "method "))},
		exchange{"slashes", frames(requestOf(1, 0, &ttrpc.Request{Service: "/" + svc, Method: "/echo"})),
			frames(refusal(1, codes.Unimplemented, "service /"+svc))},
	)
	c, p := rawServer(t, "unix")
	goCall(bg, c, "echo", "x")
	_, req := p.recvRequest()
	equal(t, req.Service, svc)
	equal(t, req.Method, "echo")
}

func TestP17RequestFlagsDecideNothing(t *testing.T) {
	r := serve(t)
	for flags := range byte(8) {
		name := fmt.Sprintf("flags %d/", flags)
		list := requestOf(1, flags, &ttrpc.Request{Service: svc, Method: "list", Payload: encode(text("1"))})
		r.run(t,
			exchange{name + "unary", frames(requestOf(1, flags, &ttrpc.Request{Service: svc, Method: "echo", Payload: encode(text("x"))})), frames(answer(1, "x"))},
			exchange{name + "server stream", frames(list), frames(data(1, 0, "0"), closing(1))},
			exchange{name + "both", frames(requestOf(1, flags, &ttrpc.Request{Service: svc, Method: "chat"}), data(1, 0, "a"), closing(1)), frames(data(1, 0, "a"), closing(1))},
		)
	}
}

func TestP18FirstMessageInTheRequest(t *testing.T) {
	r := serve(t)
	chatWith := func(payload []byte) rawFrame {
		return requestOf(1, 2, &ttrpc.Request{Service: svc, Method: "chat", Payload: payload})
	}
	r.run(t,
		exchange{"with", frames(chatWith(encode(text("a"))), data(1, 0, "b"), closing(1)), frames(data(1, 0, "a"), data(1, 0, "b"), closing(1))},
		exchange{"without", frames(chatWith(nil), data(1, 0, "b"), closing(1)), frames(data(1, 0, "b"), closing(1))},
	)
	c, p := rawServer(t, "unix")
	for _, desc := range []*ttrpc.StreamDesc{up, both} {
		open(t, bg, c, desc, "chat", nil)
		f, req := p.recvRequest()
		equal(t, f.flags, 2|4)
		equal(t, len(req.Payload), 0)
		open(t, bg, c, desc, "chat", text("a"))
		f, req = p.recvRequest()
		equal(t, f.flags, 2)
		equal(t, string(req.Payload), string(encode(text("a"))))
	}
	open(t, bg, c, down, "list", text("1"))
	equal(t, p.recv().flags, 1)
	open(t, bg, c, down, "list", nil)
	equal(t, p.recv().flags, 1)
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().flags, 0)
}

// An empty message is a message (P32), also the first of a stream.
func TestP18EmptyFirstMessage(t *testing.T) {
	cs := open(t, bg, serve(t).client(), up, "join", text(""))
	check(t, cs.SendMsg(text("a")))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "[][a]")
}

func TestP19Deadlines(t *testing.T) {
	seen := make(chan string, 1)
	look := func(ctx context.Context) {
		deadline, ok := ctx.Deadline()
		left := time.Until(deadline).Round(time.Hour)
		seen <- fmt.Sprint(ok, " ", left, " ", ctx.Err())
	}
	r := serve(t,
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { look(ctx); return "", nil })),
		withStream("lookStream", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { look(ctx); return nil })))
	p := r.raw()
	id := uint32(1)
	for _, method := range []string{"look", "lookStream"} {
		for timeout, want := range map[time.Duration]string{
			5 * time.Hour: "true 5h0m0s <nil>",
			-1:            "true 0s context deadline exceeded",
			math.MinInt64: "true -2562047h0m0s context deadline exceeded",
		} {
			p.send(requestOf(id, 0, &ttrpc.Request{Service: svc, Method: method, TimeoutNano: int64(timeout)}))
			got := wait(t, seen, "handler")
			if timeout == math.MinInt64 {
				got, want = got[len(got)-len("context deadline exceeded"):], "context deadline exceeded"
			}
			equal(t, got, want)
			p.recv()
			id += 2
		}
		p.send(requestOf(id, 0, &ttrpc.Request{Service: svc, Method: method}))
		if got := wait(t, seen, "handler"); !strings.HasPrefix(got, "false") {
			t.Error("a deadline from nowhere:", got)
		}
		p.recv()
		id += 2
	}

	c, p := rawServer(t, "unix")
	ctx, cancel := context.WithTimeout(bg, time.Hour)
	defer cancel()
	goCall(ctx, c, "look", "")
	_, req := p.recvRequest()
	equal(t, time.Duration(req.TimeoutNano).Round(time.Hour), time.Hour)
	open(t, ctx, c, both, "lookStream", nil)
	_, req = p.recvRequest()
	equal(t, time.Duration(req.TimeoutNano).Round(time.Hour), time.Hour)
	goCall(bg, c, "look", "")
	_, req = p.recvRequest()
	equal(t, req.TimeoutNano, 0)
}

func TestP20Metadata(t *testing.T) {
	md := ttrpc.MD{"key": {"2", "1", ""}, "Upper": {"x"}, "none": {}, "nil": nil, "": {"empty"}}
	ctx := ttrpc.WithMetadata(bg, md)
	for _, opt := range []ttrpc.ClientOpts{ttrpc.WithUnaryClientInterceptor(nil), ttrpc.WithUnaryClientInterceptor(passOn)} {
		c, p := rawServer(t, "unix", opt)
		goCall(ctx, c, "echo", "x")
		open(t, ctx, c, both, "chat", nil)
		for range 2 {
			_, req := p.recvRequest()
			got := ttrpc.MD{}
			for _, kv := range req.Metadata {
				got[kv.Key] = append(got[kv.Key], kv.Value)
			}
			equal(t, fmt.Sprint(got), fmt.Sprint(ttrpc.MD{"key": {"2", "1", ""}, "Upper": {"x"}, "": {"empty"}}))
		}
	}

	seen := make(chan string, 1)
	look := func(ctx context.Context) {
		md, ok := ttrpc.GetMetadata(ctx)
		value, _ := ttrpc.GetMetadataValue(ctx, "FOO")
		foo, _ := md.Get("Foo")
		seen <- fmt.Sprint(value, foo, len(md), ok)
	}
	p := serve(t,
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { look(ctx); return "", nil })),
		withStream("lookStream", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { look(ctx); return nil }))).raw()
	for i, method := range []string{"look", "lookStream"} {
		p.send(requestOf(uint32(4*i+1), 0, &ttrpc.Request{Service: svc, Method: method, Metadata: []*ttrpc.KeyValue{
			{Key: "Foo", Value: "1"}, {Key: "other"}, {Key: "foo", Value: "2"}, {Key: "FOO", Value: "3"},
		}}))
		equal(t, wait(t, seen, "handler"), "1[1 2 3] 2 true")
		p.send(requestOf(uint32(4*i+3), 0, &ttrpc.Request{Service: svc, Method: method}))
		equal(t, wait(t, seen, "handler"), "[] 0 false")
	}
}

func TestP21OversizedRequest(t *testing.T) {
	f, _ := sized(1, 4<<20+1)
	stream := f
	stream.typ = 3
	text := "message length 4194305 exceed maximum message size of 4194304"
	serve(t).run(t,
		exchange{"request", frames(f), frames(refusal(1, codes.ResourceExhausted, text))},
		exchange{"data", frames(stream), frames(refusal(1, codes.ResourceExhausted, text))},
	)
}

// Data over the limit costs the stream that it was for: its handler's context ends, and nothing else comes.
func TestP21OversizedDataEndsItsStream(t *testing.T) {
	ended := make(chan error, 1)
	p := serve(t, ttrpc.WithServerMaxRecvMsgSize(100), withStream("watch", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
		<-ctx.Done()
		ended <- ss.SendMsg(text("too late"))
		return errors.New("unheard")
	}))).raw()
	p.send(opening(1, "watch"), rawFrame{id: 1, typ: 3, data: make([]byte, 101)})
	p.wantStatus(1, codes.ResourceExhausted, "message length 101 exceed maximum message size of 100")
	if wait(t, ended, "handler") == nil {
		t.Error("the handler could still send")
	}
	p.send(data(1, 0, "x"))
	p.wantStatus(1, codes.InvalidArgument, "StreamID is no longer active")
	p.wantUsable(3)
}

func TestP22RequestThatDoesNotParse(t *testing.T) {
	r := serve(t)
	invalid := "unmarshal request error: " + parseError(t, []byte{0xff}).Error()
	badText := field(2, []byte{0xff})
	r.run(t,
		exchange{"wire format", frames(rawFrame{id: 1, typ: 1, data: []byte{0xff}}), frames(refusal(1, codes.InvalidArgument, invalid))},
		exchange{"UTF-8", frames(rawFrame{id: 1, typ: 1, data: badText}),
			frames(refusal(1, codes.InvalidArgument, "unmarshal request error: "+parseError(t, badText).Error()))},
	)
}

// parseError is what the protobuf module says of a Request.
func parseError(t *testing.T, b []byte) error {
	err := proto.Unmarshal(b, new(ttrpc.Request))
	if err == nil {
		t.Fatal("it parses")
	}
	return err
}

func TestP23EvenIds(t *testing.T) {
	even := "StreamID must be odd for client initiated streams"
	r := serve(t)
	for _, id := range []uint32{0, 2, math.MaxUint32 - 1} {
		r.run(t,
			exchange{"request", frames(request(id, "echo", "x")), frames(refusal(id, codes.InvalidArgument, even))},
			exchange{"data", frames(data(id, 0, "x")), frames(refusal(id, codes.InvalidArgument, even))},
		)
	}
}

func TestP24IdsMustIncrease(t *testing.T) {
	reused := "StreamID cannot be re-used and must increment"
	p := serve(t).raw()
	p.wantUsable(5)
	for _, id := range []uint32{5, 3, 1} {
		p.send(request(id, "echo", "x"))
		p.wantStatus(id, codes.InvalidArgument, reused)
	}
	p.wantUsable(7)
	// Also that of a call in flight, which goes on.
	p.send(opening(9, "chat"), request(9, "echo", "x"))
	p.wantStatus(9, codes.InvalidArgument, reused)
	p.send(data(9, 0, "a"), closing(9))
	p.want(data(9, 0, "a"))
	p.want(closing(9))
	p.wantUsable(11)
}

func TestP25DataForNoStream(t *testing.T) {
	gone := "StreamID is no longer active"
	r := serve(t)
	r.run(t,
		exchange{"never opened", frames(data(7, 0, "x"), closing(9)),
			frames(refusal(7, codes.InvalidArgument, gone), refusal(9, codes.InvalidArgument, gone))},
	)
	p := r.raw()
	p.wantUsable(1)
	p.send(data(1, 0, "x"))
	p.wantStatus(1, codes.InvalidArgument, gone)
	p.send(opening(3, "chat"), closing(3))
	p.want(closing(3))
	p.send(data(3, 1, "x"))
	p.wantStatus(3, codes.InvalidArgument, gone)
	p.wantUsable(5)
}

func TestP26UnknownService(t *testing.T) {
	serve(t).run(t, exchange{"none", frames(requestOf(1, 0, &ttrpc.Request{Service: "none", Method: "echo"})),
		frames(refusal(1, codes.Unimplemented, "service none"))})
}

func TestP27UnknownMethod(t *testing.T) {
	serve(t).run(t, exchange{"none", frames(request(1, "none", "")), frames(refusal(1, codes.Unimplemented, "method none"))})
}

func TestP28PayloadThatDoesNotParse(t *testing.T) {
	bad := []byte{0xff}
	invalid := "ttrpc: error unmarshalling payload: " + parseError(t, bad).Error()
	r := serve(t)
	for _, method := range []string{"echo", "list", "chat"} {
		r.run(t, exchange{method, frames(requestOf(1, 0, &ttrpc.Request{Service: svc, Method: method, Payload: bad})),
			frames(refusal(1, codes.Internal, invalid))})
	}
	r.run(t, exchange{"data", frames(opening(1, "chat"), rawFrame{id: 1, typ: 3, data: bad}), frames(refusal(1, codes.Internal, invalid))})
}

func TestP29DataOnUnaryStream(t *testing.T) {
	g := newGate()
	p := serve(t, withMethod("gated", g.unary())).raw()
	for id, flags := range map[uint32]byte{1: 0, 3: 1, 5: 5} {
		p = serve(t, withMethod("gated", g.unary())).raw()
		p.send(request(id, "gated", "x"))
		wait(t, g.started, "call")
		p.send(rawFrame{id: id, typ: 3, flags: flags})
		p.wantStatus(id, codes.InvalidArgument, "data handling error: not a streaming call")
		p.wantUsable(id + 2)
	}
	g.open() // what the handler returns goes nowhere
	p.wantUsable(101)
}

func TestP30ReplyOverTheLimit(t *testing.T) {
	large := strings.Repeat("x", 1000)
	r := serve(t, ttrpc.WithServerMaxSendMsgSize(500),
		withStream("large", ttrpc.Stream{StreamingClient: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return text(large), nil }}),
		withStream("largeData", downStream(func(_ context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(text(large)) })),
		withStream("largeLast", ttrpc.Stream{StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return text(large), nil }}))
	too := func(n int) string { return fmt.Sprintf("message length %d exceed maximum message size of 500", n) }
	r.run(t,
		exchange{"unary", frames(request(1, "echo", large)), frames(refusal(1, codes.ResourceExhausted, too(1006)))},
		exchange{"client stream", frames(opening(1, "large")), frames(refusal(1, codes.ResourceExhausted, too(1006)))},
		exchange{"last of a stream", frames(opening(1, "largeLast")), frames(refusal(1, codes.ResourceExhausted, too(1003)))},
	)
	c := r.client()
	_, err := call(bg, c, "echo", large)
	wantStatus(t, err, codes.ResourceExhausted, too(1006))
	cs := open(t, bg, c, down, "largeData", text(""))
	_, err = recvText(cs)
	equal(t, status.Code(err), codes.ResourceExhausted)
	wantEcho(t, c)
	t.Run("default", func(t *testing.T) {
		c := serve(t, withMethod("large", unary(func(context.Context, string) (string, error) { return strings.Repeat("x", 5<<20), nil }))).client()
		_, err := call(bg, c, "large", "")
		wantStatus(t, err, codes.ResourceExhausted, "message length 5242890 exceed maximum message size of 4194304")
		wantEcho(t, c)
	})
}

// A peer sends faults and does not read: it is not read either, and nobody else notices.
func TestP31FaultsWithoutAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), ttrpc.WithServerWriteBacklog(1000))
		p := r.raw()
		const faults = 1000
		sent := make(chan int, faults)
		go func() {
			for i := range faults {
				p.send(request(0, "echo", "x"))
				sent <- i
			}
		}()
		synctest.Wait()
		if n := len(sent); n > 100 {
			t.Errorf("%d faults were read while no answer was", n)
		}
		wantEcho(t, r.client())
		for range faults {
			p.wantStatus(0, codes.InvalidArgument, "StreamID must be odd for client initiated streams")
		}
		p.wantUsable(1)
	})
}

func TestP32EmptyMessages(t *testing.T) {
	r := serve(t)
	empty := func(flags byte) rawFrame { return rawFrame{id: 1, typ: 3, flags: flags} }
	r.run(t,
		exchange{"empty", frames(opening(1, "chat"), empty(0), data(1, 0, "a"), empty(5)), frames(empty(0), data(1, 0, "a"), closing(1))},
		exchange{"empty in the end", frames(opening(1, "chat"), empty(1)), frames(empty(0), closing(1))},
		exchange{"text in the end", frames(opening(1, "chat"), data(1, 1, "a")), frames(data(1, 0, "a"), closing(1))},
		exchange{"no data", frames(opening(1, "chat"), empty(4), data(1, 4, "a"), data(1, 5, "a")), frames(closing(1))},
		exchange{"joined", frames(opening(1, "join"), empty(0), empty(0), empty(4), data(1, 0, "a"), empty(1)), frames(answer(1, "[][][a][]"))},
	)
	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, both, "chat", nil)
	f := p.recv()
	check(t, cs.SendMsg(text("")))
	check(t, cs.SendMsg(nil))
	check(t, cs.SendMsg(text("a")))
	check(t, cs.CloseSend())
	p.want(empty(0))
	p.want(empty(0))
	p.want(data(f.id, 0, "a"))
	p.want(closing(f.id))
	p.send(empty(0), empty(4), data(1, 4, "no"), data(1, 0, "a"), data(1, 1, ""))
	wantTexts(t, cs, "", "a", "")
	cs = open(t, bg, c, both, "chat", nil)
	p.send(data(3, 5, "no"))
	wantTexts(t, cs)
}

func TestP33EndOfAServersStream(t *testing.T) {
	last := func(context.Context, ttrpc.StreamServer) (any, error) { return text("last"), nil }
	none := func(context.Context, ttrpc.StreamServer) (any, error) { return nil, nil }
	typedNil := func(context.Context, ttrpc.StreamServer) (any, error) { return (*message)(nil), nil }
	r := serve(t, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"down-last": {StreamingServer: true, Handler: last}, "down-none": {StreamingServer: true, Handler: none},
		"down-typed-nil": {StreamingServer: true, Handler: typedNil},
		"both-last":      {StreamingServer: true, StreamingClient: true, Handler: last},
		"both-none":      {StreamingServer: true, StreamingClient: true, Handler: none},
		"up-last":        {StreamingClient: true, Handler: last}, "up-none": {StreamingClient: true, Handler: none},
		"plain-last": {Handler: last},
	}})
	for method, want := range map[string]rawFrame{
		"down-last": data(1, 1, "last"), "down-none": closing(1), "down-typed-nil": closing(1),
		"both-last": data(1, 1, "last"), "both-none": closing(1),
		"up-last": answer(1, "last"), "up-none": {id: 1, typ: 2}, "plain-last": answer(1, "last"),
	} {
		r.run(t, exchange{method, frames(opening(1, method)), frames(want)})
	}
}

func TestP34FailureOfAStream(t *testing.T) {
	fails := ttrpc.Stream{StreamingServer: true, StreamingClient: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
		for _, s := range []string{"a", "b"} {
			if err := ss.SendMsg(text(s)); err != nil {
				return nil, err
			}
		}
		return text("unheard"), status.Error(codes.Aborted, "oh")
	}}
	r := serve(t, withStream("fails", fails))
	r.run(t, exchange{"frames", frames(opening(1, "fails")), frames(data(1, 0, "a"), data(1, 0, "b"), refusal(1, codes.Aborted, "oh"))})

	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, both, "fails", nil)
	p.recv()
	p.send(data(1, 0, "a"), data(1, 0, "b"), refusal(1, codes.Aborted, "oh"))
	wantNext(t, cs, "a", "b")
	for range 2 {
		_, err := recvText(cs)
		wantStatus(t, err, codes.Aborted, "oh")
	}
}

func TestP35DataAfterTheEnd(t *testing.T) {
	g := newGate()
	started := make(chan context.Context, 1)
	p := serve(t, withStream("watch", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error {
		started <- ctx
		<-g.release
		return errors.New("unheard")
	}))).raw()
	p.send(opening(1, "watch"), closing(1))
	ctx := wait(t, started, "handler")
	p.send(data(1, 0, "x"))
	p.wantStatus(1, codes.InvalidArgument, "data handling error: ttrpc: stream closed")
	wait(t, ctx.Done(), "the handler's context")
	g.open()
	p.wantUsable(3)

	c, p := rawServer(t, "unix")
	cs := open(t, bg, c, both, "chat", nil)
	check(t, cs.CloseSend())
	wantExactly(t, cs.SendMsg(text("x")), ttrpc.ErrStreamClosed)
	wantExactly(t, cs.CloseSend(), ttrpc.ErrStreamClosed)
	p.recv()
	p.want(closing(1))
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 3) // and nothing in between
}

func TestP36NothingAfterTheFinalFrame(t *testing.T) {
	for name, final := range map[string]rawFrame{
		"end": closing(1), "last message": data(1, 1, "x"), "answer": answer(1, "x"), "status": refusal(1, codes.Aborted, "oh"),
	} {
		t.Run(name, func(t *testing.T) {
			c, p := rawServer(t, "unix")
			cs := open(t, bg, c, both, "chat", nil)
			p.recv()
			result := goCall(bg, c, "echo", "x")
			p.recv()
			p.send(final, answer(3, "x"))
			check(t, wait(t, result, "call")) // the final frame has been seen
			wantExactly(t, cs.SendMsg(text("x")), ttrpc.ErrStreamClosed)
			check(t, cs.CloseSend())
			goCall(bg, c, "echo", "x")
			equal(t, p.recv().id, 5)
		})
	}
}

func TestP37FramesAfterTheFinalOne(t *testing.T) {
	var log logBuffer
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()))
	cs := open(t, bg, c, both, "chat", nil)
	p.recv()
	p.send(data(1, 1, "a"), data(1, 0, "b"), refusal(1, codes.Aborted, "oh"), answer(1, "c"), closing(1))
	wantTexts(t, cs, "a")
	result := goCall(bg, c, "echo", "x")
	p.recv()
	p.send(answer(3, "x"))
	check(t, wait(t, result, "call"))
	wantTexts(t, cs)
	equal(t, log.String(), "")
}

// statusError has a status of its own.
type statusError struct{ text string }

func (e statusError) Error() string              { return e.text }
func (e statusError) GRPCStatus() *status.Status { return status.New(codes.Unavailable, "own status") }

func TestP38ErrorsBecomeStatuses(t *testing.T) {
	notFound := status.Error(codes.NotFound, "not found")
	_, pathError := os.Open("/does not exist")
	tests := []struct {
		err  error
		code codes.Code
		text string // "": the error's
	}{
		{io.EOF, codes.OutOfRange, ""},
		{io.ErrClosedPipe, codes.FailedPrecondition, ""},
		{io.ErrNoProgress, codes.FailedPrecondition, ""},
		{io.ErrShortBuffer, codes.FailedPrecondition, ""},
		{io.ErrShortWrite, codes.FailedPrecondition, ""},
		{io.ErrUnexpectedEOF, codes.FailedPrecondition, ""},
		{os.ErrInvalid, codes.InvalidArgument, ""},
		{context.Canceled, codes.Canceled, ""},
		{context.DeadlineExceeded, codes.DeadlineExceeded, ""},
		{os.ErrExist, codes.AlreadyExists, ""},
		{os.ErrNotExist, codes.NotFound, ""},
		{os.ErrPermission, codes.PermissionDenied, ""},
		{pathError, codes.NotFound, ""},
		{os.NewSyscallError("call", syscall.EEXIST), codes.AlreadyExists, ""},
		{&os.LinkError{Op: "link", Old: "o", New: "n", Err: syscall.EACCES}, codes.PermissionDenied, ""},
		{syscall.EINVAL, codes.Unknown, ""},
		{os.ErrClosed, codes.Unknown, ""},
		{os.ErrDeadlineExceeded, codes.Unknown, ""},
		{fmt.Errorf("wrapped: %w", io.EOF), codes.Unknown, ""},
		{fmt.Errorf("wrapped: %w", os.ErrNotExist), codes.Unknown, ""},
		{fmt.Errorf("wrapped: %w", context.Canceled), codes.Unknown, ""},
		{errors.New("plain"), codes.Unknown, ""},
		{errors.New(""), codes.Unknown, ""},
		{ttrpc.ErrClosed, codes.Unknown, ""},
		{ttrpc.OversizedMessageError(5 << 20), codes.ResourceExhausted,
			"rpc error: code = ResourceExhausted desc = message length 5242880 exceed maximum message size of 4194304"},
		{notFound, codes.NotFound, "not found"},
		{fmt.Errorf("wrapped: %w", notFound), codes.NotFound, "wrapped: rpc error: code = NotFound desc = not found"},
		{errors.Join(errors.New("one"), notFound), codes.NotFound, "one\nrpc error: code = NotFound desc = not found"},
		{status.Error(77, "odd code"), 77, "odd code"},
		{statusError{"own text"}, codes.Unavailable, "own status"},
		{fmt.Errorf("wrapped: %w", statusError{"own text"}), codes.Unavailable, "wrapped: own text"},
	}
	which := func(in string) error {
		i, _ := strconv.Atoi(in)
		return tests[i].err
	}
	c := serve(t,
		withMethod("which", unary(func(_ context.Context, in string) (string, error) { return "unheard", which(in) })),
		withStream("whichStream", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			in, err := recvText(ss)
			if err != nil {
				return err
			}
			return which(in)
		}))).client()
	for i, test := range tests {
		want := test.text
		if want == "" {
			want = test.err.Error()
		}
		out, err := call(bg, c, "which", strconv.Itoa(i))
		wantStatus(t, err, test.code, want)
		equal(t, out, "")
		_, err = recvText(open(t, bg, c, both, "whichStream", text(strconv.Itoa(i))))
		wantStatus(t, err, test.code, want)
	}
}

func TestP39TextThatIsNotUTF8(t *testing.T) {
	bad, mended := "a\xffb\xc0\xc1", "a\uFFFDb\uFFFD"
	wrapped := fmt.Errorf("%s %w", bad, status.Error(codes.NotFound, "x"))
	for _, test := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{errors.New(bad), codes.Unknown, mended},
		{status.Error(codes.NotFound, bad), codes.NotFound, mended},
		{wrapped, codes.NotFound, mended + " rpc error: code = NotFound desc = x"},
	} {
		c := serve(t, withMethod("bad", unary(func(context.Context, string) (string, error) { return "", test.err })),
			withStream("badStream", bidi(func(context.Context, ttrpc.StreamServer) error { return test.err }))).client()
		_, err := call(bg, c, "bad", "")
		wantStatus(t, err, test.code, test.text)
		_, err = recvText(open(t, bg, c, both, "badStream", nil))
		wantStatus(t, err, test.code, test.text)
		wantEcho(t, c)
	}
}

func TestP40StatusesWithDetails(t *testing.T) {
	detail, err := anypb.New(text("detail"))
	check(t, err)
	sent := status.FromProto(&spb.Status{Code: int32(codes.Aborted), Message: "oh", Details: []*anypb.Any{detail}})
	r := serve(t, withMethod("detailed", unary(func(context.Context, string) (string, error) { return "", sent.Err() })))
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c := r.client(ttrpc.WithUnaryClientInterceptor(interceptor))
		_, err = call(bg, c, "detailed", "")
		wantStatus(t, err, codes.Aborted, "oh")
		st, _ := status.FromError(err)
		equal(t, len(st.Details()), 1)
		equal(t, st.Details()[0].(*message).Value, "detail")
	}
	// A payload that does not parse does not hide it.
	var c *ttrpc.Client
	var p *rawPeer
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c, p = rawServer(t, "unix", ttrpc.WithUnaryClientInterceptor(interceptor))
		result := goCall(bg, c, "echo", "x")
		f := p.recv()
		p.send(rawFrame{id: f.id, typ: 2, data: slices.Concat(field(2, []byte{0xff}), field(1, slices.Concat(number(1, 5), field(2, []byte("gone")))))})
		wantStatus(t, wait(t, result, "call"), codes.NotFound, "gone")
	}
	cs := open(t, bg, c, both, "chat", nil)
	f := p.recv()
	p.send(rawFrame{id: f.id, typ: 2, data: slices.Concat(field(2, []byte{0xff}), field(1, number(1, 5)))})
	_, err = recvText(cs)
	wantStatus(t, err, codes.NotFound, "")
}

// A call's context ends while it waits for its answer, in a write, or to write; by cancelling and by a deadline.
func TestP41ContextEndsACall(t *testing.T) {
	situations := map[string]func(t *testing.T, c *ttrpc.Client, p *rawPeer){
		"waits for its answer": func(_ *testing.T, _ *ttrpc.Client, p *rawPeer) { go p.recv() },
		"in a write":           func(*testing.T, *ttrpc.Client, *rawPeer) {},
		"behind another's write": func(_ *testing.T, c *ttrpc.Client, _ *rawPeer) {
			goCall(bg, c, "echo", "x")
			synctest.Wait()
		},
		"waits to write": func(_ *testing.T, c *ttrpc.Client, _ *rawPeer) {
			goCall(bg, c, "echo", strings.Repeat("x", 2000)) // the backlog is full
			synctest.Wait()
		},
	}
	for name, prepare := range situations {
		for _, transport := range []string{"unary", "stream"} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := rawServer(t, "pipe", ttrpc.WithClientWriteBacklog(1000))
					prepare(t, c, p)
					do := func(ctx context.Context) error {
						if transport == "unary" {
							_, err := call(ctx, c, "echo", "x")
							return err
						}
						cs, err := c.NewStream(ctx, both, svc, "chat", nil)
						if err == nil {
							_, err = recvText(cs)
						}
						return err
					}
					start := time.Now()
					ctx, cancel := context.WithTimeout(bg, time.Second)
					defer cancel()
					wantExactly(t, do(ctx), context.DeadlineExceeded)
					equal(t, time.Since(start), time.Second)

					cancelled, cancelCause := context.WithCancelCause(bg)
					timer := time.AfterFunc(time.Second, func() { cancelCause(errors.New("a cause")) })
					defer timer.Stop()
					wantExactly(t, do(cancelled), context.Canceled)
					equal(t, time.Since(start), 2*time.Second)
					check(t, c.Err())
				})
			})
		}
	}
}

// After all that the connection is as good as new.
func TestP41LateAnswersAreDropped(t *testing.T) {
	var log logBuffer
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()))
	for i := range uint32(100) {
		ctx, cancel := context.WithCancel(bg)
		result := goCall(ctx, c, "echo", "x")
		p.recv()
		cancel()
		wantExactly(t, wait(t, result, "call"), context.Canceled)
		p.send(answer(2*i+1, "late"))
	}
	result := goCall(bg, c, "echo", "x")
	f := p.recv()
	p.send(answer(f.id, "x"))
	check(t, wait(t, result, "call"))
	equal(t, log.String(), "")
}

func TestP42OversizedRequestIsNotSent(t *testing.T) {
	large := strings.Repeat("x", 1000)
	for _, interceptor := range []ttrpc.UnaryClientInterceptor{nil, passOn} {
		c, p := rawServer(t, "unix", ttrpc.WithClientMaxSendMsgSize(1000), ttrpc.WithUnaryClientInterceptor(interceptor))
		_, err := call(bg, c, "echo", large)
		wantOversized(t, err, 1000)
		_, err = c.NewStream(bg, both, svc, "chat", text(large))
		wantOversized(t, err, 1000)
		cs := open(t, bg, c, both, "chat", nil)
		wantOversized(t, cs.SendMsg(text(large)), 1000)
		check(t, cs.SendMsg(text("x")))
		equal(t, p.recv().id, 1)
		p.want(data(1, 0, "x"))
	}

	c, p := rawServer(t, "unix")
	_, err := call(bg, c, "echo", strings.Repeat("x", 4<<20))
	wantOversized(t, err, 4<<20)
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 1)
}

func wantOversized(t *testing.T, err error, limit int) {
	t.Helper()
	var large *ttrpc.OversizedMessageErr
	if !errors.As(err, &large) || large.MaximumLength() != limit || large.RejectedLength() <= limit {
		t.Fatalf("got error %v (%T), want an *OversizedMessageErr over %d", err, err, limit)
	}
	wantStatus(t, errors.Unwrap(err), codes.ResourceExhausted,
		fmt.Sprintf("message length %d exceed maximum message size of %d", large.RejectedLength(), limit))
}

func TestP43ReplyOverTheClientsLimit(t *testing.T) {
	r := serve(t)
	c := r.client(ttrpc.WithClientMaxRecvMsgSize(1000))
	g := goCall(bg, c, "hold", "")
	large := strings.Repeat("x", 2000)
	_, err := call(bg, c, "echo", large)
	wantStatus(t, err, codes.ResourceExhausted, "message length 2006 exceed maximum message size of 1000")
	cs := open(t, bg, c, both, "chat", text(large))
	_, err = recvText(cs)
	wantStatus(t, err, codes.ResourceExhausted, "message length 2003 exceed maximum message size of 1000")
	wantEcho(t, c)
	select {
	case err := <-g:
		t.Error("another call ended:", err)
	default:
	}
}

func TestP44FramesForUnknownIds(t *testing.T) {
	var log logBuffer
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()))
	for _, id := range []uint32{0, 2, 9, 77, math.MaxUint32} { // none that the calls below get
		p.send(answer(id, "x"), refusal(id, codes.Aborted, "x"), data(id, 0, "x"), closing(id))
	}
	for range 2 {
		result := goCall(bg, c, "echo", "x")
		f := p.recv()
		p.send(answer(f.id+2, "early"), answer(f.id, "x"))
		check(t, wait(t, result, "call"))
	}
	equal(t, log.String(), "")
}

func TestP45EndOfTheConnectionEndsItsCalls(t *testing.T) {
	ways := map[string]func(c *ttrpc.Client, p *rawPeer){
		"Close":       func(c *ttrpc.Client, _ *rawPeer) { c.Close() },
		"peer closes": func(_ *ttrpc.Client, p *rawPeer) { p.Close() },
		"half closed": func(_ *ttrpc.Client, p *rawPeer) { _ = p.Conn.(*net.TCPConn).CloseWrite() },
		"reset": func(_ *ttrpc.Client, p *rawPeer) {
			_ = p.Conn.(*net.TCPConn).SetLinger(0)
			p.Close()
		},
		"mid-frame": func(_ *ttrpc.Client, p *rawPeer) { _, _ = p.Write(make([]byte, 5)); p.Close() },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			c, p := rawServer(t, "tcp")
			var results []<-chan error
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			results = append(results, goCall(bg, c, "echo", "x"), goCall(ctx, c, "echo", "x"))
			cs := open(t, bg, c, both, "chat", nil)
			received := make(chan error, 1)
			go func() { _, err := recvText(cs); received <- err }()
			results = append(results, received)
			for range results {
				p.recv()
			}
			end(c, p)
			for _, result := range results {
				err := wait(t, result, "call")
				wantIs(t, err, ttrpc.ErrClosed)
				if name != "mid-frame" {
					wantExactly(t, err, ttrpc.ErrClosed)
				}
			}
			wantIs(t, cs.SendMsg(text("x")), ttrpc.ErrClosed)
			wantIs(t, cs.CloseSend(), ttrpc.ErrClosed)
			_, err := recvText(cs)
			wantIs(t, err, ttrpc.ErrClosed)
			_, err = call(bg, c, "echo", "x")
			wantIs(t, err, ttrpc.ErrClosed)
			_, err = c.NewStream(bg, both, svc, "chat", nil)
			wantIs(t, err, ttrpc.ErrClosed)
		})
	}
}

func TestP46HalfClosedIsGone(t *testing.T) {
	started := make(chan context.Context, 2)
	hold := func(ctx context.Context) error { started <- ctx; <-ctx.Done(); return ctx.Err() }
	p := serve(t,
		withMethod("watch", unary(func(ctx context.Context, _ string) (string, error) { return "", hold(ctx) })),
		withStream("watchStream", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { return hold(ctx) }))).raw()
	p.send(request(1, "watch", ""), opening(3, "watchStream"))
	for range 2 {
		wait(t, started, "handler")
	}
	check(t, p.Conn.(*net.UnixConn).CloseWrite())
	p.wantEnd()
}

// errConn is a connection whose reads fail, one day.
type errConn struct {
	net.Conn
	err    chan error
	closed chan struct{}
	once   sync.Once
}

func newErrConn(conn net.Conn) *errConn {
	return &errConn{Conn: conn, err: make(chan error, 1), closed: make(chan struct{})}
}

func (c *errConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case err = <-c.err:
		return 0, err
	default:
		return n, err
	}
}

func (c *errConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// oneListener accepts one connection.
type oneListener struct {
	pipeListener
}

func newOneListener(conn net.Conn) *oneListener {
	l := &oneListener{pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}}
	l.conns <- conn
	return l
}

func TestP47ReadErrorClosesTheConnection(t *testing.T) {
	broken := errors.New("cable cut")
	t.Run("client", func(t *testing.T) {
		var log logBuffer
		a, b := pair(t, "pipe")
		conn, p := newErrConn(a), newRawPeer(t, b)
		c := ttrpc.NewClient(conn, ttrpc.WithClientLogger(log.logger()))
		result := goCall(bg, c, "echo", "x")
		p.recv()
		conn.err <- broken
		p.send(rawFrame{typ: 9})
		wantIs(t, wait(t, result, "call"), ttrpc.ErrClosed, broken)
		wait(t, conn.closed, "Close")
		wantIs(t, c.Err(), ttrpc.ErrClosed, broken)
		check(t, c.UserOnCloseWait(bg))
		if !strings.Contains(log.String(), "cable cut") {
			t.Error("it is not in the log:", log.String())
		}
	})
	t.Run("server", func(t *testing.T) {
		var log logBuffer
		a, b := pair(t, "pipe")
		conn, p := newErrConn(a), newRawPeer(t, b)
		g := newGate()
		r := serve(t, net.Listener(newOneListener(conn)), ttrpc.WithServerLogger(log.logger()), withMethod("gate", g.unary()))
		p.wantUsable(1)
		p.send(request(3, "gate", ""))
		wait(t, g.started, "call") // so the read that brought it has returned
		conn.err <- broken
		p.send(rawFrame{typ: 9})
		p.wantEnd()
		wait(t, conn.closed, "Close")
		g.open()
		check(t, r.Shutdown(bg))
		if !strings.Contains(log.String(), "cable cut") {
			t.Error("it is not in the log:", log.String())
		}
	})
}

func TestP48Shutdown(t *testing.T) {
	g := newGate()
	r := serve(t, withMethod("gated", g.unary()), withStream("gatedStream", g.stream()))
	idle, busy, streaming := r.raw(), r.raw(), r.raw()
	idle.wantUsable(1)
	busy.send(request(1, "gated", "a"), request(3, "gated", "b"))
	streaming.send(opening(1, "gatedStream"))
	for range 3 {
		wait(t, g.started, "call")
	}
	shut := make(chan error, 1)
	go func() { shut <- r.Shutdown(bg) }()
	idle.wantEnd()
	wantExactly(t, wait(t, r.served, "Serve"), ttrpc.ErrServerClosed)
	ended, cancel := context.WithCancel(bg)
	cancel()
	wantExactly(t, r.Shutdown(ended), context.Canceled) // which does not wait, but has told all connections
	busy.send(request(5, "echo", "x"))
	busy.wantStatus(5, codes.Unavailable, "ttrpc: server closed")
	streaming.send(request(3, "echo", "x"))
	streaming.wantStatus(3, codes.Unavailable, "ttrpc: server closed")
	g.release <- struct{}{}
	g.open()
	got := map[uint32]bool{busy.recv().id: true, busy.recv().id: true}
	if !got[1] || !got[3] {
		t.Error("answers for", got)
	}
	busy.wantEnd()
	streaming.send(data(1, 0, "a"), closing(1)) // a stream in flight may run to its end
	streaming.want(data(1, 0, "a"))
	streaming.want(closing(1))
	streaming.wantEnd()
	check(t, wait(t, shut, "Shutdown"))
}

func TestP48CloseCutsCalls(t *testing.T) {
	started := make(chan context.Context, 2)
	watch := func(ctx context.Context) error { started <- ctx; <-ctx.Done(); return ctx.Err() }
	r := serve(t,
		withMethod("watch", unary(func(ctx context.Context, _ string) (string, error) { return "", watch(ctx) })),
		withStream("watchStream", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { return watch(ctx) })))
	c := r.client()
	result := goCall(bg, c, "watch", "")
	cs := open(t, bg, c, both, "watchStream", nil)
	contexts := []context.Context{wait(t, started, "handler"), wait(t, started, "handler")}
	check(t, r.Close())
	wantExactly(t, wait(t, result, "call"), ttrpc.ErrClosed)
	_, err := recvText(cs)
	wantExactly(t, err, ttrpc.ErrClosed)
	for _, ctx := range contexts {
		wait(t, ctx.Done(), "the handler's context")
		wantExactly(t, ctx.Err(), context.Canceled)
	}
	wantExactly(t, wait(t, r.served, "Serve"), ttrpc.ErrServerClosed)
}
