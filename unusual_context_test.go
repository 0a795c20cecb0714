// Built by Go 1.23 as well: what a context says depends on the release.

package ttrpc_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

type uxKey struct{}

// uxHandshaker tells the contexts that it is given.
type uxHandshaker struct {
	ctxs chan context.Context
	err  error
}

func (h *uxHandshaker) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	h.ctxs <- ctx
	return conn, nil, h.err
}

// uxHandshakes is a server with such a handshaker, served with ctx.
func uxHandshakes(t *testing.T, ctx context.Context, refusal error) (*uxServer, chan context.Context) {
	t.Helper()
	h := &uxHandshaker{make(chan context.Context, 10), refusal}
	server, err := ttrpc.NewServer(ttrpc.WithServerHandshaker(h))
	uxCheck(t, err)
	server.RegisterService(uxService, uxStandard())
	s := &uxServer{server, t, filepath.Join(t.TempDir(), "s")}
	s.listen(ctx)
	return s, h.ctxs
}

// uxWantLive wants a context that has not ended, has no deadline and is Serve's as far as its
// values go.
func uxWantLive(t *testing.T, ctx context.Context) {
	t.Helper()
	if err := ctx.Err(); err != nil {
		t.Error("the context has ended:", err)
	}
	if ctx.Value(uxKey{}) != "Serve's" {
		t.Error("the context has not the values of Serve's")
	}
}

// What a handshaker starts may outlive the handshake, and the connection: its context ends with
// Serve's, as far as handshakes are concerned that end within their time.
func TestHandshakersContextOutlivesTheHandshake(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), uxKey{}, "Serve's"))
	defer cancel()
	s, ctxs := uxHandshakes(t, ctx, nil)
	client := s.client()
	_, err := uxCall(context.Background(), client, "echo", "x")
	uxCheck(t, err)
	first := <-ctxs
	uxWantLive(t, first)
	client.Close()
	other := s.client()
	_, err = uxCall(context.Background(), other, "echo", "x")
	uxCheck(t, err)
	uxWantLive(t, first)
	cancel()
	for _, ctx := range []context.Context{first, <-ctxs} {
		<-ctx.Done()
		if err := ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// A refusal does not end the context either, nor does a server that is closed.
func TestHandshakersContextAfterRefusalAndClose(t *testing.T) {
	ctx := context.WithValue(context.Background(), uxKey{}, "Serve's")
	s, ctxs := uxHandshakes(t, ctx, errors.New("not you"))
	client := s.client()
	if _, err := uxCall(context.Background(), client, "echo", "x"); !errors.Is(err, ttrpc.ErrClosed) {
		t.Error(err)
	}
	refused := <-ctxs
	uxWantLive(t, refused)
	uxCheck(t, s.Close())
	uxWantLive(t, refused)
}

// uxWaiter is a method, and a stream, that waits for the end of its context and says what it knows
// of it.
func uxWaiter(started chan<- struct{}, seen chan<- [3]error) (ttrpc.Method, ttrpc.Stream) {
	wait := func(ctx context.Context) {
		started <- struct{}{}
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		<-child.Done()
		seen <- [3]error{ctx.Err(), context.Cause(ctx), context.Cause(child)}
	}
	return uxUnary(func(ctx context.Context, _ string) (string, error) { wait(ctx); return "", ctx.Err() }),
		ttrpc.Stream{StreamingClient: true, StreamingServer: true, Handler: func(ctx context.Context, _ ttrpc.StreamServer) (any, error) {
			wait(ctx)
			return nil, ctx.Err()
		}}
}

// uxCauses serves the waiter with a context, calls it, has end end the running call, and wants the
// error and the cause. The call is made by hand, so it comes to its handler however short its time.
func uxCauses(t *testing.T, serve context.Context, callFor time.Duration, end func(*uxRaw), wantErr, wantCause error) {
	started, seen := make(chan struct{}, 2), make(chan [3]error, 2)
	method, stream := uxWaiter(started, seen)
	for kind, flags := range map[string]byte{"unary": 0, "stream": 6} {
		t.Run(kind, func(t *testing.T) {
			server, err := ttrpc.NewServer()
			uxCheck(t, err)
			server.RegisterService(uxService, &ttrpc.ServiceDesc{
				Methods: map[string]ttrpc.Method{"unary": method},
				Streams: map[string]ttrpc.Stream{"stream": stream},
			})
			s := &uxServer{server, t, filepath.Join(t.TempDir(), "s")}
			s.listen(serve)
			p := s.raw()
			req := &ttrpc.Request{Service: uxService, Method: kind, TimeoutNano: int64(callFor)}
			p.send(uxFrame{id: 1, typ: uxTypeRequest, flags: flags, data: uxEncode(req)})
			<-started
			end(p)
			if got := <-seen; got != [3]error{wantErr, wantCause, wantCause} {
				t.Errorf("got error, cause and a child's cause %q, want %q, %q", got, wantErr, wantCause)
			}
		})
	}
}

func TestCauseAfterDeadline(t *testing.T) {
	deadline := context.DeadlineExceeded
	uxCauses(t, context.Background(), 20*time.Millisecond, func(*uxRaw) {}, deadline, deadline)
}

func TestCauseAfterConnection(t *testing.T) {
	end := func(p *uxRaw) { p.Close() }
	uxCauses(t, context.Background(), time.Hour, end, context.Canceled, context.Canceled)
}

// A cause with which Serve's context ends is known in handlers.
func TestCauseOfServesContext(t *testing.T) {
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(context.Background())
	end := func(*uxRaw) { cancel(because) }
	uxCauses(t, ctx, time.Hour, end, context.Canceled, because)
}
