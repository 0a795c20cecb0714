//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
)

// handshakeFunc is a function that is a Handshaker.
type handshakeFunc func(ctx context.Context, conn net.Conn) (net.Conn, any, error)

func (f handshakeFunc) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return f(ctx, conn)
}

// handshakeOf is a handshake that does not look at the connection.
func handshakeOf(f func(ctx context.Context) error) ttrpc.Handshaker {
	return handshakeFunc(func(ctx context.Context, conn net.Conn) (net.Conn, any, error) { return conn, nil, f(ctx) })
}

func TestHandshakeDataReachesHandlers(t *testing.T) {
	equal(t, ttrpc.HandshakeData(bg), nil)
	type peer struct{ name string }
	var n atomic.Int32
	look := func(ctx context.Context) string {
		p, _ := ttrpc.HandshakeData(ctx).(peer)
		return p.name
	}
	r := serve(t,
		ttrpc.WithServerHandshaker(handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
			return conn, peer{strings.Repeat("a", int(n.Add(1)))}, nil
		})),
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { return look(ctx), nil })),
		withStream("lookStream", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(text(look(ctx))) })),
		ttrpc.WithUnaryServerInterceptor(func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			if look(ctx) == "" {
				return nil, errors.New("an interceptor does not find it")
			}
			return m(ctx, u)
		}))
	for _, want := range []string{"a", "aa"} {
		c := r.client()
		contexts := map[string]context.Context{"plain": bg, "with metadata": ttrpc.WithMetadata(bg, ttrpc.MD{"k": {"v"}})}
		withDeadline, cancel := context.WithTimeout(bg, time.Hour)
		defer cancel()
		contexts["with a deadline"] = withDeadline
		for name, ctx := range contexts {
			out, err := call(ctx, c, "look", "")
			check(t, err)
			if out != want {
				t.Errorf("%s: got %q, want %q", name, out, want)
			}
			wantTexts(t, open(t, ctx, c, both, "lookStream", nil), want)
		}
	}
	out, err := call(bg, serve(t, withMethod("look", unary(func(ctx context.Context, _ string) (string, error) {
		if ttrpc.HandshakeData(ctx) != nil {
			return "some", nil
		}
		return "none", nil
	}))).client(), "look", "")
	check(t, err)
	equal(t, out, "none")
}

// xorConn is a connection that a handshake has decorated.
type xorConn struct{ net.Conn }

func (c xorConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	xor(b[:n])
	return n, err
}

func (c xorConn) Write(b []byte) (int, error) {
	b = append([]byte(nil), b...)
	xor(b)
	return c.Conn.Write(b)
}

func xor(b []byte) {
	for i := range b {
		b[i] ^= 0x55
	}
}

// The connection that a handshake returns is used in place of the other, on both sides.
func TestHandshakeDecorates(t *testing.T) {
	decorate := handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) { return xorConn{conn}, nil, nil })
	for _, transport := range []network{"unix", "tcp", "pipe"} {
		r := serve(t, transport, ttrpc.WithServerHandshaker(decorate), ttrpc.WithClientHandshaker(decorate))
		c := r.client()
		wantEcho(t, c)
		cs := open(t, bg, c, both, "chat", text("a"))
		wantNext(t, cs, "a")
		check(t, r.Close())
		check(t, c.UserOnCloseWait(bg))
	}
}

// Both sides send something before the first frame.
func TestHandshakesOfBothSides(t *testing.T) {
	server := handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
		hello := make([]byte, 5)
		if _, err := io.ReadFull(conn, hello); err != nil {
			return nil, nil, err
		}
		_, err := conn.Write(append(hello, "!"...))
		return conn, string(hello), err
	})
	client := handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
		if _, err := conn.Write([]byte("hello")); err != nil {
			return nil, nil, err
		}
		_, err := io.ReadFull(conn, make([]byte, 6))
		return conn, nil, err
	})
	wantEcho(t, serve(t, ttrpc.WithServerHandshaker(server), ttrpc.WithClientHandshaker(client)).client())
}

// noConn is the error of a handshake that returned neither a connection nor an error.
const noConn = "ttrpc: handshake returned no connection"

func TestServerHandshakeRefuses(t *testing.T) {
	refused := errors.New("not you")
	for name, f := range map[string]handshakeFunc{
		"error":         func(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, refused },
		"no connection": func(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			var n atomic.Int32
			r := serve(t, ttrpc.WithServerLogger(log.logger()), ttrpc.WithServerHandshaker(handshakeFunc(
				func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
					if n.Add(1) < 3 {
						return f(ctx, conn)
					}
					return conn, nil, nil
				})))
			for range 2 {
				_, err := call(bg, r.client(), "echo", "x")
				wantExactly(t, err, ttrpc.ErrClosed)
			}
			wantEcho(t, r.client()) // it accepts on
			check(t, r.Shutdown(bg))
			want := refused.Error()
			if name == "no connection" {
				want = noConn
			}
			equal(t, strings.Count(log.String(), want), 2)
		})
	}
}

func TestClientHandshakeFails(t *testing.T) {
	refused := errors.New("not you")
	var log logBuffer
	closed := make(chan struct{})
	c, p := rawServer(t, "unix", ttrpc.WithClientLogger(log.logger()), ttrpc.WithOnClose(func() { close(closed) }),
		ttrpc.WithClientHandshaker(handshakeFunc(func(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, refused })))
	wait(t, closed, "the callback")
	p.wantEnd()
	_, err := call(bg, c, "echo", "x")
	wantIs(t, err, ttrpc.ErrClosed, refused)
	_, err = c.NewStream(bg, both, svc, "chat", nil)
	wantIs(t, err, ttrpc.ErrClosed, refused)
	wantIs(t, c.Err(), ttrpc.ErrClosed, refused)
	check(t, c.UserOnCloseWait(bg))
	check(t, c.Close())
	equal(t, strings.Count(log.String(), "not you"), 1)

	nothing := handshakeFunc(func(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, nil })
	c, _ = rawServer(t, "unix", ttrpc.WithClientHandshaker(nothing))
	wantIs(t, c.Err(), ttrpc.ErrClosed)
	equal(t, c.Err().Error(), "ttrpc: closed: ttrpc: handshake: "+noConn)
}

// A handshake's deadline is on its context and on the connection, and gone from there afterwards.
func TestHandshakeTimeouts(t *testing.T) {
	for name, test := range map[string]struct {
		opts []ttrpc.ClientOpts
		want time.Duration
	}{
		"default": {nil, 30 * time.Second},
		"option":  {[]ttrpc.ClientOpts{ttrpc.WithClientHandshakeTimeout(time.Minute)}, time.Minute},
	} {
		for _, byContext := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					c, _ := rawServer(t, "pipe", append(test.opts, ttrpc.WithClientHandshaker(waitingHandshake{byContext}))...)
					equal(t, time.Since(start), test.want)
					wantIs(t, c.Err(), ttrpc.ErrClosed)
				})
			})
		}
	}
	t.Run("none", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			look := handshakeFunc(func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
				if _, ok := ctx.Deadline(); ok {
					t.Error("the handshake has a deadline")
				}
				elapse(time.Hour)
				return conn, nil, nil
			})
			c := serve(t, network("pipe"), ttrpc.WithServerHandshaker(look), ttrpc.WithServerHandshakeTimeout(0),
				ttrpc.WithClientHandshaker(look), ttrpc.WithClientHandshakeTimeout(0)).client()
			wantEcho(t, c)
		})
	})
	t.Run("cleared", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pass := handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) { return conn, nil, nil })
			c := serve(t, network("pipe"), ttrpc.WithServerHandshaker(pass), ttrpc.WithClientHandshaker(pass)).client()
			elapse(time.Hour)
			wantEcho(t, c)
		})
	})
}

// Close and Shutdown end a handshake that is under way.
func TestHandshakeEndsWithTheServer(t *testing.T) {
	for name, end := range map[string]func(s *ttrpc.Server) error{
		"Close": (*ttrpc.Server).Close, "Shutdown": func(s *ttrpc.Server) error { return s.Shutdown(bg) },
	} {
		t.Run(name, func(t *testing.T) {
			started := make(chan struct{})
			r := serve(t, ttrpc.WithServerHandshaker(handshakeFunc(func(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
				close(started)
				_, err := conn.Read(make([]byte, 1))
				return conn, nil, err
			})))
			p := r.raw()
			wait(t, started, "the handshake")
			check(t, end(r.Server))
			p.wantEnd()
			check(t, r.Shutdown(bg))
		})
	}
}

func TestAddressesAreTheConnections(t *testing.T) {
	equal(t, ttrpc.RemoteAddr(bg), nil)
	equal(t, ttrpc.LocalAddr(bg), nil)
	addresses := func(ctx context.Context) string {
		return ttrpc.LocalAddr(ctx).String() + " " + ttrpc.RemoteAddr(ctx).String()
	}
	r := serve(t, network("tcp"),
		withMethod("addresses", unary(func(ctx context.Context, _ string) (string, error) { return addresses(ctx), nil })),
		withStream("addressesStream", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(text(addresses(ctx))) })))
	c := r.client()
	want := c.RemoteAddr().String() + " " + c.LocalAddr().String()
	out, err := call(bg, c, "addresses", "")
	check(t, err)
	equal(t, out, want)
	wantTexts(t, open(t, bg, c, both, "addressesStream", nil), want)
	equal(t, c.RemoteAddr().String(), r.l.Addr().String())
}
