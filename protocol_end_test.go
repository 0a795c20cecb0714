//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

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

func TestP48ShutdownWaitsForCallsInFlight(t *testing.T) {
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
	// It does not wait, but has told all connections.
	wantExactly(t, r.Shutdown(ended), context.Canceled)
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
