//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shutdownContexts are what a handler may make of its context.
var shutdownContexts = map[string]func(ctx context.Context) (context.Context, context.CancelFunc){
	"its own": func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
	"derived": func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		return ttrpc.WithMetadata(ctx, ttrpc.MD{"k": {"v"}}), cancel
	},
	"bounded": func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Hour)
	},
	"uncancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithoutCancel(ctx), func() {}
	},
}

// stopper serves the methods "wait", of the gate, and "stop", unary and stream, whose handler
// passes another gate and shuts the server down.
func stopper(t *testing.T, g, stops *slowGate, f func(context.Context) (context.Context, context.CancelFunc)) net.Listener {
	var s *ttrpc.Server
	stop := func(ctx context.Context) (any, error) {
		stops.pass()
		ctx, cancel := f(ctx)
		defer cancel()
		err := s.Shutdown(ctx)
		if err == nil && !g.isOpen() {
			g.early.Store(true)
		}
		return text("stopped"), err
	}
	s, l := serveOn(t, nil, serviceOf(
		map[string]ttrpc.Method{
			"wait": methodOf(g.wait),
			"stop": methodOf(func(ctx context.Context, _ string) (any, error) { return stop(ctx) }),
		},
		map[string]ttrpc.StreamHandler{
			"stop stream": func(ctx context.Context, _ ttrpc.StreamServer) (any, error) { return stop(ctx) },
		},
	))
	return l
}

// (d) Shutdown within a handler, with a context of the handler's, waits for all but that handler's
// own call, which is answered as any.
func TestShutdownWithinAHandler(t *testing.T) {
	for name, f := range shutdownContexts {
		for _, timeout := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(name, timeout), func(t *testing.T) {
				l := stopper(t, newSlowGate(t), openSfGate(t), f)
				ctx := context.Background()
				if timeout != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, timeout)
					defer cancel()
				}
				c := newClient(t, dial(t, l))
				check(t, wait(t, goCall(ctx, c, "stop", ""), "the answer"))
				check(t, c.UserOnCloseWait(context.Background()))
			})
		}
	}
}

// A stream's handler as well.
func TestShutdownWithinAStream(t *testing.T) {
	l := stopper(t, newSlowGate(t), openSfGate(t), shutdownContexts["its own"])
	c := newClient(t, dial(t, l))
	cs, err := c.NewStream(context.Background(), both, svc, "stop stream", nil)
	check(t, err)
	done, m := make(chan error, 1), new(wrapperspb.StringValue)
	go func() { done <- cs.RecvMsg(m) }()
	check(t, wait(t, done, "the answer"))
	equal(t, m.Value, "stopped")
	check(t, c.UserOnCloseWait(context.Background()))
}

// Other calls, on its connection and on another, are waited for, and two handlers that do so at
// once do not wait for each other.
func TestShutdownWithinAHandlerBesideOthers(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprint("same connection ", same), func(t *testing.T) {
			g, stops := newSlowGate(t), newSlowGate(t)
			l := stopper(t, g, stops, shutdownContexts["its own"])
			c := newClient(t, dial(t, l))
			other := c
			if !same {
				other = newClient(t, dial(t, l))
			}
			held := goCall(context.Background(), other, "wait", "")
			wait(t, g.entered, "the other call")
			// Both have begun before either shuts down: a call that comes later may find the connection
			// closed.
			first := goCall(context.Background(), c, "stop", "")
			second := goCall(context.Background(), c, "stop", "")
			wait(t, stops.entered, "one handler")
			wait(t, stops.entered, "the other handler")
			stops.release()
			_, err := call(context.Background(), c, "echo", "") // it is refused once Shutdown is at it
			for err == nil {
				_, err = call(context.Background(), c, "echo", "")
			}
			wantStatus(t, err, codes.Unavailable, ttrpc.ErrServerClosed.Error())
			g.release()
			check(t, wait(t, held, "the other call"))
			check(t, wait(t, first, "the answer"))
			check(t, wait(t, second, "the other answer"))
			if g.early.Load() {
				t.Error("Shutdown has not waited for the other call")
			}
		})
	}
}

// A handler whose own call has been cancelled, and one that calls Shutdown twice at once, wait for
// the others all the same.
func TestShutdownWithinACancelledCall(t *testing.T) {
	for _, test := range []struct {
		name      string
		cancelled bool
		callers   int
	}{{"cancelled", true, 1}, {"twice", false, 2}, {"both", true, 3}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *ttrpc.Server
				ended, release := make(chan error, test.callers), make(chan struct{})
				r := onPipe(t, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
					"wait": unary(func(context.Context, string) (string, error) { <-release; return "released", nil }),
					"stop": unary(func(ctx context.Context, _ string) (string, error) {
						if test.cancelled {
							<-ctx.Done()
							ctx = context.WithoutCancel(ctx)
						}
						var all sync.WaitGroup
						for range test.callers {
							all.Go(func() { ended <- s.Shutdown(ctx) })
						}
						all.Wait()
						return "stopped", nil
					}),
				}})
				s = r.Server
				p := newRawPeer(t, pipeTo(t, r))
				p.send(request(1, "wait", ""), request(3, "stop", ""))
				if test.cancelled {
					p.send(cancel(3))
				}
				synctest.Wait()
				equal(t, len(ended), 0)
				close(release)
				p.wantAnswer(1, "released")
				for range test.callers {
					check(t, <-ended)
				}
				if !test.cancelled {
					p.wantAnswer(3, "stopped")
				}
				p.wantEnd()
			})
		})
	}
}
