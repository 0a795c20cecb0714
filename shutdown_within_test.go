//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// sfShutdownContexts are what a handler may make of its context.
var sfShutdownContexts = map[string]func(ctx context.Context) (context.Context, context.CancelFunc){
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

// sfStopper serves the methods "wait", of the gate, and "stop", unary and stream, whose handler
// passes another gate and shuts the server down.
func sfStopper(t *testing.T, g, stops *sfGate, f func(context.Context) (context.Context, context.CancelFunc)) net.Listener {
	var s *ttrpc.Server
	stop := func(ctx context.Context) (any, error) {
		stops.pass()
		ctx, cancel := f(ctx)
		defer cancel()
		err := s.Shutdown(ctx)
		if err == nil && !g.isOpen() {
			g.early.Store(true)
		}
		return sfText("stopped"), err
	}
	s, l := sfServe(t, nil, sfDesc(
		map[string]ttrpc.Method{
			"wait": sfMethod(g.wait),
			"stop": sfMethod(func(ctx context.Context, _ string) (any, error) { return stop(ctx) }),
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
	for name, f := range sfShutdownContexts {
		for _, timeout := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(name, timeout), func(t *testing.T) {
				l := sfStopper(t, newSfGate(t), openSfGate(t), f)
				ctx := context.Background()
				if timeout != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, timeout)
					defer cancel()
				}
				c := sfClient(t, sfDial(t, l))
				sfCheck(t, sfWait(t, sfGo(ctx, c, "stop", ""), "the answer"))
				sfCheck(t, c.UserOnCloseWait(context.Background()))
			})
		}
	}
}

// A stream's handler as well.
func TestShutdownWithinAStream(t *testing.T) {
	l := sfStopper(t, newSfGate(t), openSfGate(t), sfShutdownContexts["its own"])
	c := sfClient(t, sfDial(t, l))
	cs, err := c.NewStream(context.Background(), sfBoth, sfService, "stop stream", nil)
	sfCheck(t, err)
	done, m := make(chan error, 1), new(wrapperspb.StringValue)
	go func() { done <- cs.RecvMsg(m) }()
	sfCheck(t, sfWait(t, done, "the answer"))
	sfEqual(t, m.Value, "stopped")
	sfCheck(t, c.UserOnCloseWait(context.Background()))
}

// Other calls, on its connection and on another, are waited for, and two handlers that do so at
// once do not wait for each other.
func TestShutdownWithinAHandlerBesideOthers(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprint("same connection ", same), func(t *testing.T) {
			g, stops := newSfGate(t), newSfGate(t)
			l := sfStopper(t, g, stops, sfShutdownContexts["its own"])
			c := sfClient(t, sfDial(t, l))
			other := c
			if !same {
				other = sfClient(t, sfDial(t, l))
			}
			held := sfGo(context.Background(), other, "wait", "")
			sfWait(t, g.entered, "the other call")
			// Both have begun before either shuts down: a call that comes later may find the connection
			// closed.
			first := sfGo(context.Background(), c, "stop", "")
			second := sfGo(context.Background(), c, "stop", "")
			sfWait(t, stops.entered, "one handler")
			sfWait(t, stops.entered, "the other handler")
			stops.release()
			_, err := sfCall(context.Background(), c, "echo", "") // it is refused once Shutdown is at it
			for err == nil {
				_, err = sfCall(context.Background(), c, "echo", "")
			}
			sfWantStatus(t, err, codes.Unavailable, ttrpc.ErrServerClosed.Error())
			g.release()
			sfCheck(t, sfWait(t, held, "the other call"))
			sfCheck(t, sfWait(t, first, "the answer"))
			sfCheck(t, sfWait(t, second, "the other answer"))
			if g.early.Load() {
				t.Error("Shutdown has not waited for the other call")
			}
		})
	}
}
