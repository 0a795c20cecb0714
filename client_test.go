//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// The response is reset by an answer, also by one that is a status, but not by an error of this
// side.
func TestCallResetsItsResponse(t *testing.T) {
	r := serve(t)
	c := r.client()
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	for _, test := range []struct {
		ctx    context.Context
		method string
		want   string
	}{
		{bg, "echo", "x"}, {bg, "empty", ""}, {bg, "fail", ""}, {bg, "none", ""}, {cancelled, "echo", "before"},
	} {
		out := text("before")
		_ = c.Call(test.ctx, svc, test.method, text("x"), out)
		if out.Value != test.want {
			t.Errorf("%s: response is %q, want %q", test.method, out.Value, test.want)
		}
	}
	check(t, c.Close())
	out := text("before")
	wantExactly(t, c.Call(bg, svc, "echo", text("x"), out), ttrpc.ErrClosed)
	equal(t, out.Value, "before")
}

// A call whose context has ended sends nothing.
func TestCallWithEndedContext(t *testing.T) {
	c, p := rawServer(t, "unix")
	cancelled, cancel := context.WithCancelCause(bg)
	cancel(errors.New("a cause"))
	expired, cancelExpired := context.WithDeadline(bg, time.Now().Add(-time.Second))
	defer cancelExpired()
	for ctx, want := range map[context.Context]error{cancelled: context.Canceled, expired: context.DeadlineExceeded} {
		_, err := call(ctx, c, "echo", "x")
		wantExactly(t, err, want)
		_, err = c.NewStream(ctx, both, svc, "chat", nil)
		wantExactly(t, err, want)
	}
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().id, 1)
}

func TestResponsesThatDoNotParse(t *testing.T) {
	for name, opts := range map[string][]ttrpc.ClientOpts{"plain": nil, "intercepted": {ttrpc.WithUnaryClientInterceptor(passOn)}} {
		t.Run(name, func(t *testing.T) {
			c, p := rawServer(t, "unix", opts...)
			for _, b := range [][]byte{{0xff}, field(1, []byte{0xff}), field(2, []byte{0xff}), field(1, field(2, []byte{0xff}))} {
				result := goCall(bg, c, "echo", "x")
				f := p.recv()
				p.send(rawFrame{id: f.id, typ: 2, data: b})
				err := wait(t, result, "call")
				if err == nil || errors.Is(err, ttrpc.ErrClosed) {
					t.Errorf("%x: got error %v", b, err)
				}
			}
			result := goCall(bg, c, "echo", "x")
			f := p.recv()
			p.send(answer(f.id, "x"))
			check(t, wait(t, result, "call"))
		})
	}
}

func TestDataAsAnswerOfCall(t *testing.T) {
	c, p := rawServer(t, "unix")
	for _, flags := range []byte{0, 1, 5} {
		result := goCall(bg, c, "echo", "x")
		f := p.recv()
		p.send(rawFrame{id: f.id, typ: 3, flags: flags})
		wantIs(t, wait(t, result, "call"), ttrpc.ErrProtocol)
	}
}

func TestCloseIsIdempotent(t *testing.T) {
	n := 0
	c, _ := rawServer(t, "unix", ttrpc.WithOnClose(func() { t.Error("replaced") }), ttrpc.WithOnClose(func() { n++ }))
	check(t, c.Err())
	ended, cancel := context.WithCancel(bg)
	cancel()
	wantExactly(t, c.UserOnCloseWait(ended), context.Canceled)
	for range 3 {
		check(t, c.Close())
		check(t, c.UserOnCloseWait(bg))
	}
	equal(t, n, 1)
	wantIs(t, c.Err(), ttrpc.ErrClosed, net.ErrClosed)
	c, _ = rawServer(t, "unix")
	check(t, c.Close())
	check(t, c.UserOnCloseWait(bg)) // without a callback
}

// The callback may use the client, and takes the time it wants: UserOnCloseWait waits, calls do
// not.
func TestOnCloseMayUseTheClient(t *testing.T) {
	g := newGate()
	var c *ttrpc.Client
	ready := make(chan struct{})
	c, p := rawServer(t, "unix", ttrpc.WithOnClose(func() {
		<-ready
		if err := c.Err(); !errors.Is(err, io.EOF) {
			t.Error("Err in the callback:", err)
		}
		_, err := call(bg, c, "echo", "x")
		wantExactly(t, err, ttrpc.ErrClosed)
		check(t, c.Close())
		g.pass("")
	}))
	close(ready)
	result := goCall(bg, c, "echo", "x")
	p.recv()
	p.Close()
	wantExactly(t, wait(t, result, "call"), ttrpc.ErrClosed)
	wait(t, g.started, "the callback")
	ended, cancel := context.WithCancel(bg)
	cancel()
	wantExactly(t, c.UserOnCloseWait(ended), context.Canceled)
	g.open()
	check(t, c.UserOnCloseWait(bg))
}

// The end of an idle connection is noticed, whatever was done on it before: calls that were alone,
// together, with contexts, streams, nothing.
func TestIdleConnectionsEndIsNoticed(t *testing.T) {
	ctx, cancel := context.WithTimeout(bg, time.Hour)
	defer cancel()
	for name, use := range map[string]func(c *ttrpc.Client){
		"nothing":    func(*ttrpc.Client) {},
		"one call":   func(c *ttrpc.Client) { wantEcho(t, c) },
		"many calls": func(c *ttrpc.Client) { repeat(300, func() { wantEcho(t, c) }) },
		"deadlines":  func(c *ttrpc.Client) { repeat(300, func() { _, _ = call(ctx, c, "echo", "x") }) },
		"together": func(c *ttrpc.Client) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { repeat(50, func() { wantEcho(t, c) }) })
			}
			wg.Wait()
		},
		"a stream": func(c *ttrpc.Client) {
			cs := open(t, bg, c, both, "chat", nil)
			repeat(300, func() { check(t, cs.SendMsg(text("a"))); wantNext(t, cs, "a") })
		},
		"a stream that ended": func(c *ttrpc.Client) { wantTexts(t, open(t, bg, c, down, "list", text("1")), "0") },
		"a stream and calls": func(c *ttrpc.Client) {
			open(t, bg, c, both, "mute", nil)
			repeat(300, func() { wantEcho(t, c) })
		},
	} {
		for _, transport := range []network{"unix", "tcp", "pipe"} {
			t.Run(name+"/"+string(transport), func(t *testing.T) {
				r := serve(t, transport)
				var closed atomic.Bool
				c := r.client(ttrpc.WithOnClose(func() { closed.Store(true) }))
				use(c)
				check(t, c.Err())
				check(t, r.Close())
				check(t, c.UserOnCloseWait(bg))
				equal(t, closed.Load(), true)
				wantIs(t, c.Err(), ttrpc.ErrClosed)
			})
		}
	}
}

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

// A call that reads its own answer takes long, and everything else goes on beside it.
func TestSoleCallMayTakeLong(t *testing.T) {
	for _, ended := range []string{"answered", "cancelled", "closed"} {
		t.Run(ended, func(t *testing.T) {
			g := newGate()
			r := serve(t, withMethod("gated", g.unary()))
			c := r.client()
			repeat(300, func() { wantEcho(t, c) }) // by now a call reads for itself, if ever
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			long := goCall(ctx, c, "gated", "x")
			if ended != "cancelled" {
				cancel = func() {}
				long = goCall(bg, c, "gated", "x")
				wait(t, g.started, "the other one")
			}
			wait(t, g.started, "the long call")
			wantEcho(t, c)
			out := goCall(ctx, c, "echo", "y")
			check(t, wait(t, out, "a call beside it"))
			switch ended {
			case "cancelled":
				cancel()
				wantExactly(t, wait(t, long, "the cancelled call"), context.Canceled)
				wantEcho(t, c)
			case "closed":
				check(t, r.Close())
				wantExactly(t, wait(t, long, "the call of a closed connection"), ttrpc.ErrClosed)
			}
			g.open()
			if ended == "answered" {
				check(t, wait(t, long, "the long call"))
				wantEcho(t, c)
			}
		})
	}
}

// A lone call's connection ends.
func TestSoleCallEndsWithItsConnection(t *testing.T) {
	for range 20 {
		g := newGate()
		r := serve(t, withMethod("gated", g.unary()))
		c := r.client()
		repeat(100, func() { wantEcho(t, c) })
		long := goCall(bg, c, "gated", "x")
		wait(t, g.started, "the call")
		check(t, c.Close())
		wantExactly(t, wait(t, long, "the call"), ttrpc.ErrClosed)
		check(t, c.UserOnCloseWait(bg))
		g.open()
	}
}

// Contexts end while a lone caller reads: at once, and the connection lives on.
func TestSoleCallEndsWithItsContext(t *testing.T) {
	c := serve(t).client()
	for range 200 {
		repeat(10, func() { wantEcho(t, c) })
		ctx, cancel := context.WithTimeout(bg, time.Millisecond)
		_, err := call(ctx, c, "hold", "")
		if !errors.Is(err, context.DeadlineExceeded) {
			wantStatus(t, err, codes.DeadlineExceeded, "context deadline exceeded") // the handler was first
		}
		cancel()
	}
	wantEcho(t, c)
}

// Calls of all kinds from many goroutines, their contexts ending at any moment: each gets its own
// answer or its own context's error.
func TestConcurrentCallsGetTheirOwnAnswers(t *testing.T) {
	for _, transport := range []network{"unix", "pipe"} {
		t.Run(string(transport), func(t *testing.T) {
			c := serve(t, transport).client()
			var wg sync.WaitGroup
			for i := range 32 {
				wg.Go(func() {
					for j := range 60 {
						useOnce(t, c, i, j)
					}
				})
			}
			wg.Wait()
			wantEcho(t, c)
		})
	}
}

// useOnce does one thing, which one depends on i and j.
func useOnce(t *testing.T, c *ttrpc.Client, i, j int) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	in := strings.Repeat(string(rune('a'+i%26)), 1+j*j%5000)
	switch (i + j) % 4 {
	case 0:
		if out, err := call(bg, c, "echo", in); err != nil || out != in {
			t.Error("echo:", out == in, err)
		}
	case 1:
		timer := time.AfterFunc(time.Duration(j)*10*time.Microsecond, cancel)
		defer timer.Stop()
		if out, err := call(ctx, c, "echo", in); err == nil && out != in || err != nil && !errors.Is(err, context.Canceled) {
			t.Error("cancelled echo:", out == in, err)
		}
	case 2:
		cs, err := c.NewStream(ctx, both, svc, "chat", text(in))
		if err != nil {
			t.Error("chat:", err)
			return
		}
		if out, err := recvText(cs); err != nil || out != in {
			t.Error("chat:", out == in, err)
		}
	case 3:
		if _, err := call(bg, c, "fail", in); err == nil || !strings.HasSuffix(err.Error(), in) {
			t.Error("fail:", err)
		}
	}
}

// With one processor everything makes progress, too.
func TestOneProcessorMakesProgress(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	t.Run("concurrent use", TestConcurrentCallsGetTheirOwnAnswers)
	t.Run("writes", TestTTRPCIssue72BothSidesBlockedInWrite)
	t.Run("unread stream", TestP51EndlessUnreadStreamsFailAlone)
	t.Run("lone call", TestSoleCallMayTakeLong)
	t.Run("faults", TestP12EachRequestGetsOneAnswer)
	t.Run("shutdown", TestP48ShutdownWaitsForCallsInFlight)
}

// A client in one synctest bubble after another.
func TestClientsInOneBubbleAfterAnother(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) { wantEcho(t, serve(t, network("pipe")).client()) })
	}
	wantEcho(t, serve(t).client())
}

// A write that fails since the peer has closed: what the peer said before that still counts.
func TestWhatThePeerSentBeforeItClosedCounts(t *testing.T) {
	for range 50 {
		frozen(t, func(t *testing.T) {
			c, p := rawServer(t, "unix")
			first := goCall(bg, c, "echo", "x")
			p.recv()
			p.send(answer(1, "x"))
			p.Close()
			_, err := call(bg, c, "echo", strings.Repeat("x", 1<<20))
			wantExactly(t, err, ttrpc.ErrClosed)
			check(t, wait(t, first, "the first call"))
		})
	}
}

// slowContext has a deadline, and a timer that never comes.
type slowContext struct {
	context.Context
	deadline time.Time
}

func (c slowContext) Deadline() (time.Time, bool) { return c.deadline, true }

// The server says that the deadline is over before the client's own timer does: that is the
// context's end all the same, and the message stays as it was.
func TestServerIsFasterThanTheTimer(t *testing.T) {
	intercepted := ttrpc.WithUnaryClientInterceptor(new(trace).client("a"))
	for name, opts := range map[string][]ttrpc.ClientOpts{"plain": nil, "intercepted": {intercepted}} {
		for _, over := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", over ", over), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, p := rawServer(t, "pipe", opts...)
					ctx := slowContext{bg, time.Now().Add(time.Second)}
					refuse := func(receive func(m any) error) {
						m, result := text("before"), make(chan error, 1)
						go func() { result <- receive(m) }()
						request := p.recv()
						if over {
							elapse(2 * time.Second)
						}
						p.send(refusal(request.id, codes.DeadlineExceeded, "late"))
						if !over {
							wantStatus(t, <-result, codes.DeadlineExceeded, "late")
							return
						}
						wantExactly(t, <-result, context.DeadlineExceeded)
						equal(t, m.Value, "before")
						ctx.deadline = time.Now().Add(time.Second)
					}
					refuse(func(m any) error { return c.Call(ctx, svc, "m", text("x"), m) })
					refuse(func(m any) error { return open(t, ctx, c, both, "s", nil).RecvMsg(m) })
					check(t, c.Close())
				})
			})
		}
	}
}
