//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
)

// rounds is how often a race is run: a million times where that is asked for.
func rounds(few int) int {
	if os.Getenv("TTRPC_TEST_LONG") != "" {
		return 1_000_000
	}
	return few
}

// A limit with which streams begin holds as long as no other such limit comes: the server may have
// told the next one before it has seen the stream.
func TestP65StreamBeginsBetweenTwoLimits(t *testing.T) {
	c, p := known(t)
	p.send(window(0, 0))
	wantAnswered(t, c, p) // it has come
	free, held := open(t, bg, c, both, "chat", nil), open(t, bg, c, both, "chat", nil)
	first, _ := p.recvRequest()
	second, _ := p.recvRequest()
	sent := make(chan error, 2)
	for _, cs := range []ttrpc.ClientStream{free, held} {
		go func() { sent <- cs.SendMsg(text("x")) }()
	}
	p.send(window(second.id, 0), window(0, math.MaxUint64))
	p.want(data(first.id, 0, "x"))
	check(t, wait(t, sent, "SendMsg"))
	wantAnswered(t, c, p) // and nothing of the stream that has a limit of its own
	p.send(window(second.id, 1))
	p.want(data(second.id, 0, "x"))
	check(t, wait(t, sent, "SendMsg"))
}

// Data without a message counts as all Data does, and a consumer that waits makes room again.
func TestP63DataWithoutMessageCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, ttrpc.WithServerStreamWindow(2*kib), withStream("take", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
			for {
				if err := ss.RecvMsg(new(message)); err != nil {
					return err
				}
			}
		})))
		p := newRawPeer(t, pipeTo(t, r))
		p.send(opening(1, "take"), hello(1), data(1, 0, of(kib)))
		limit, sent := p.wantWindow(1), uint64(kib)
		for range 5 {
			for ; sent < limit; sent += 10 {
				p.send(rawFrame{id: 1, typ: 3, flags: 4})
			}
			next := p.wantWindow(1)
			for next <= sent {
				next = p.wantWindow(1)
			}
			limit = next
		}
	})
}

// The buffer is no longer crowded once the streams have ended that filled it, though nobody has
// read them.
func TestP65EndedStreamsCrowdNobody(t *testing.T) {
	p := serve(t, ttrpc.WithServerStreamBuffer(8*kib, 8*kib)).greeted()
	p.send(opening(3, "mute"), data(3, 0, of(5*kib)))
	p.wantWindow(3)
	equal(t, p.wantWindow(0), 0)
	p.send(cancel(3), opening(5, "mute"))
	equal(t, p.wantWindow(0), math.MaxUint64)
	p.wantUsable(7)
}

// recorder is a conn that keeps what was written, each Write for itself.
type recorder struct {
	net.Conn
	mu     sync.Mutex // guards writes
	writes [][]byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.writes = append(r.writes, bytes.Clone(b))
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// A stream is stopped in the write that opens it: its server may send a lot before another one.
func TestP65StreamIsStoppedAsItBegins(t *testing.T) {
	near, far := pipePair(t)
	conn := &recorder{Conn: near}
	c := ttrpc.NewClient(conn, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed), ttrpc.WithClientStreamBuffer(8*kib, 8*kib))
	t.Cleanup(func() { c.Close() })
	p := newRawPeer(t, far)
	open(t, bg, c, down, "list", text("x"))
	p.recvRequest()
	p.want(hello(1))
	p.send(data(1, 0, of(5*kib)))
	p.wantWindow(1)
	eventually(t, "the writer to be free", func() bool { return c.Snapshot().Conns[0].Backlog == 0 })
	open(t, bg, c, down, "list", text("x"))
	p.recvRequest()
	equal(t, p.wantWindow(3), 0)
	conn.mu.Lock()
	defer conn.mu.Unlock()
	last := conn.writes[len(conn.writes)-1]
	equal(t, bytes.Contains(last, []byte("list")) && bytes.HasSuffix(last, window(3, 0).bytes()), true)
}

// Whatever comes from a peer is a sign of life, a Pong or not.
func TestP68KeepaliveTakesAnySignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipePair(t)
		c := ttrpc.NewClient(near, ttrpc.WithClientKeepalive(time.Minute, time.Second), ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed))
		t.Cleanup(func() { c.Close() })
		result := goCall(bg, c, "echo", "x")
		collect(t, far)
		p := newRawPeer(t, far)
		for range 3 * 3600 {
			p.send(window(99, 1))
			elapse(time.Second / 3)
		}
		check(t, c.Err())
		start := time.Now()
		wantIs(t, <-result, ttrpc.ErrKeepalive)
		if took := time.Since(start); took > 2*time.Minute+time.Second {
			t.Error("it took", took)
		}
	})
}

// A stream whose window never opens holds up nobody else, and lives until it is given up.
func TestP63ShutWindowHoldsOneStream(t *testing.T) {
	ended := make(chan error, 100)
	r := serve(t, waiters(ended))
	p := r.greeted()
	for id := uint32(3); id < 203; id += 2 {
		p.send(opening(id, "sends"), window(id, 0))
	}
	left := ttrpc.ServerLeftovers(r.Server)
	// What was sent before the windows came.
	usable := func(id uint32) {
		p.send(request(id, "echo", "usable"))
		for f := p.recv(); f.id != id; f = p.recv() {
			equal(t, f.typ, 3)
		}
	}
	for id := uint32(203); id < 403; id += 2 {
		usable(id)
	}
	for id := uint32(3); id < 203; id += 2 {
		p.send(cancel(id))
		wantExactly(t, wait(t, ended, "the handler"), context.Canceled)
	}
	usable(403)
	eventually(t, "the streams' end", func() bool { return left() == "" })
}

// A call that is cancelled while it is answered is answered once or not at all, and nobody gets
// another's answer. Calls that run for themselves, on workers, and as streams.
func TestP61CancelRacesWithTheAnswer(t *testing.T) {
	r := serve(t)
	left := func() string { return "" }
	const callers = 8
	var all sync.WaitGroup
	for range 2 {
		c := r.client()
		wantEcho(t, c)
		left = ttrpc.ServerLeftovers(r.Server)
		for i := range callers {
			all.Go(func() {
				chance := rand.New(rand.NewPCG(1, uint64(i)))
				for n := range rounds(20_000) / (2 * callers) {
					ctx, cancel := context.WithCancel(bg)
					in := fmt.Sprint(i, n)
					go func(spin int) {
						for range spin {
							_ = ctx.Err()
						}
						cancel()
					}(chance.IntN(3000))
					var out string
					var want error
					if n%8 == 0 {
						out, want = chatOnce(ctx, c, in)
					} else {
						out, want = call(ctx, c, "echo", in)
					}
					if want == nil && out != in || want != nil && !errors.Is(want, context.Canceled) && ttrpc.StatusOf(want).Code() != 1 {
						t.Errorf("call %s: %q, %v", in, out, want)
						return
					}
					cancel()
				}
			})
		}
	}
	all.Wait()
	eventually(t, "the handlers' end", func() bool { return left() == "" })
}

func chatOnce(ctx context.Context, c *ttrpc.Client, in string) (string, error) {
	cs, err := c.NewStream(ctx, both, svc, "chat", nil)
	if err != nil {
		return "", err
	}
	if err := cs.SendMsg(text(in)); err != nil {
		return "", err
	}
	out, err := recvText(cs)
	if err != nil {
		return "", err
	}
	if err := cs.CloseSend(); err != nil {
		return "", err
	}
	_, _ = recvText(cs)
	return out, nil
}

// Who opens and cancels in a loop, and reads nothing but what has to be read, gains nothing.
func TestP62OpenAndCancelInALoop(t *testing.T) {
	ended := make(chan error, 1)
	r := serve(t, waiters(ended), ttrpc.WithServerMaxCalls(100))
	go func() {
		for range ended {
		}
	}()
	p := r.greeted()
	left := ttrpc.ServerLeftovers(r.Server)
	got := collect(t, p.Conn)
	methods := []string{"wait", "derived", "waits", "receives", "sends"}
	id := uint32(3)
	for i := range rounds(10_000) {
		p.send(opening(id, methods[i%len(methods)]), window(id, 1), cancel(id))
		id += 2
	}
	p.send(request(id, "echo", "x"))
	eventually(t, "an answer", func() bool {
		got.mu.Lock()
		defer got.mu.Unlock()
		check(t, got.err)
		return len(got.byID[id]) == 1
	})
	// By now the server has read all of them.
	eventually(t, "the handlers' end", func() bool { return left() == "" })
	close(ended)
}

// Data for a unary call that is being given up fails that call alone: not the next one, for which
// the client uses its memory again.
func TestP60DataForACallThatIsGivenUp(t *testing.T) {
	c, p := rawServer(t, "unix")
	go func() {
		for {
			f, err := p.receive()
			if err != nil {
				return
			}
			req, in := new(ttrpc.Request), new(message)
			if proto.Unmarshal(f.data, req) != nil || proto.Unmarshal(req.Payload, in) != nil {
				t.Error("no Request:", f)
			}
			reply := answer(f.id, in.Value)
			if in.Value == "given up" {
				reply = data(f.id, 0, "x")
			}
			if _, err := p.Write(reply.bytes()); err != nil {
				return
			}
		}
	}()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range rounds(20_000) / 8 {
				ctx, cancel := context.WithCancel(bg)
				go func() {
					for range n % 1000 {
						_ = ctx.Err()
					}
					cancel()
				}()
				_, _ = call(ctx, c, "echo", "given up")
				if _, err := call(bg, c, "echo", "x"); err != nil {
					t.Error("the next call:", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// What a client writes to a server that does not know the extensions is, byte for byte, what it
// writes without them: calls, streams, what is given up, and what the server gets wrong.
func TestP57WireToAnOldServer(t *testing.T) {
	script := func(x ttrpc.Extensions) (got []rawFrame) {
		c, p := rawServer(t, "unix", ttrpc.WithClientExtensions(x), ttrpc.WithClientStreamBuffer(8*kib, 8*kib),
			ttrpc.WithClientKeepalive(time.Millisecond, time.Minute))
		recv := func() rawFrame { got = append(got, p.recv()); return got[len(got)-1] }
		ctx, stop := context.WithCancel(bg)
		given := goCall(ctx, c, "echo", "given up")
		recv()
		stop()
		wantExactly(t, wait(t, given, "call"), context.Canceled)
		for range 3 { // an unread stream fills more than half of the buffer
			cs := open(t, bg, c, both, "chat", nil)
			f := recv()
			p.send(data(f.id, 0, of(5*kib)), rawFrame{id: f.id, typ: 4}, rawFrame{id: f.id, typ: 0x42, data: make([]byte, 8)}, goAway(0))
			result := goCall(bg, c, "echo", "x")
			p.send(answer(recv().id, "x"))
			check(t, wait(t, result, "call"))
			check(t, cs.SendMsg(text("y")))
			recv()
			wantNext(t, cs, of(5*kib))
			check(t, cs.CloseSend())
			recv()
			p.send(closing(f.id))
			wantTexts(t, cs)
		}
		check(t, c.Close())
		p.wantEnd()
		return got
	}
	with, without := script(ttrpc.ExtensionsAuto), script(ttrpc.ExtensionsOff)
	equal(t, fmt.Sprint(with), fmt.Sprint(without))
}
