//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// A server that is closed or closing serves no further listener, and closes it.
func TestServeWhenClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		r := onPipe(t, withMethod("gate", g.unary()))
		result := goCall(bg, pipeClient(t, r), "gate", "")
		<-g.started
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(bg) }()
		synctest.Wait()
		l := pipe.Listen()
		wantExactly(t, r.Serve(bg, l), ttrpc.ErrServerClosed)
		_, err := l.Accept()
		wantIs(t, err, net.ErrClosed)
		g.open()
		check(t, <-result)
		check(t, <-done)
		wantExactly(t, r.Serve(bg, pipe.Listen()), ttrpc.ErrServerClosed)
		check(t, r.Shutdown(bg))
	})
}

// Serve, Shutdown and Close from many goroutines, at any moment of connections' lives.
func TestServeShutdownCloseFromMany(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			r := serve(t, pipe.Listen(), ttrpc.WithServerMaxConns(1+rnd.IntN(5)))
			var all sync.WaitGroup
			later := func(f func()) {
				d := time.Duration(rnd.IntN(10)) * time.Millisecond
				all.Go(func() { elapse(d); f() })
			}
			for range 4 {
				l := pipe.Listen()
				later(func() { wantExactly(t, r.Serve(bg, l), ttrpc.ErrServerClosed) })
				for range 3 {
					later(func() { someCalls(l) })
				}
				later(func() {
					ctx, cancel := context.WithTimeout(bg, time.Millisecond)
					defer cancel()
					if err := r.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				})
			}
			later(func() { _ = r.Close() })
			later(func() { _ = r.Shutdown(bg) })
			all.Wait()
			check(t, r.Shutdown(bg))
			equal(t, ttrpc.ConnCount(r.Server), 0)
			wantExactly(t, <-r.served, ttrpc.ErrServerClosed)
		})
	}
}

// someCalls makes calls over a new connection until it ends.
func someCalls(l *pipe.Listener) {
	conn, err := l.Dial(pipe.Options{}, pipe.Options{})
	if err != nil {
		return
	}
	c := ttrpc.NewClient(conn)
	for i := 0; err == nil && i < 5; i++ {
		ctx, cancel := context.WithTimeout(bg, 2*time.Millisecond)
		_, err = call(ctx, c, []string{"echo", "hold"}[i%2], "x")
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
	}
	_ = c.Close()
}

// slowClose takes its time to close, as TLS may.
type slowClose struct{ net.Conn }

func (c slowClose) Close() error {
	elapse(5 * time.Second)
	return c.Conn.Close()
}

// slowListener accepts connections that are slow to close.
type slowListener struct{ net.Listener }

func (l slowListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return slowClose{conn}, err
}

// Connections that are slow to close hold up neither Close nor Shutdown, nor each other.
func TestSlowClosesHoldUpNobody(t *testing.T) {
	for name, end := range map[string]func(*rig) error{
		"Close": func(r *rig) error { return r.Close() },
		"Shutdown": func(r *rig) error {
			ctx, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("a call is in flight: %w", err)
			}
			return r.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := pipe.Listen()
				r := serve(t, slowListener{l})
				var clients []*ttrpc.Client
				for range 10 {
					conn, err := l.Dial(pipe.Options{}, pipe.Options{})
					check(t, err)
					clients = append(clients, ttrpc.NewClient(conn))
					wantEcho(t, clients[len(clients)-1])
				}
				result := goCall(bg, clients[0], "hold", "")
				synctest.Wait()
				begin := time.Now()
				check(t, end(r))
				if d := time.Since(begin); d > time.Second {
					t.Errorf("took %v", d)
				}
				wantIs(t, <-result, ttrpc.ErrClosed)
				check(t, r.Shutdown(bg))
				if d := time.Since(begin); d > 7*time.Second {
					t.Errorf("the end took %v", d)
				}
				for _, c := range clients {
					check(t, c.Close())
				}
			})
		})
	}
}

// Calls end before the connection is closed.
func TestCallsEndBeforeASlowClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe.New(pipe.Options{}, pipe.Options{})
		c := ttrpc.NewClient(slowClose{a})
		result := goCall(bg, c, "echo", "x")
		synctest.Wait()
		begin := time.Now()
		go c.Close()
		wantExactly(t, <-result, ttrpc.ErrClosed)
		equal(t, time.Since(begin), 0)
		check(t, c.UserOnCloseWait(bg))
		check(t, b.Close())
	})
}

// A client whose write has failed reads what the server has sent before, for a second.
func TestClientReadsOnAfterAFailedWrite(t *testing.T) {
	for _, tc := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {time.Second - 1, nil}, {time.Second + 1, ttrpc.ErrClosed}} {
		synctest.Test(t, func(t *testing.T) {
			near, far := pipe.New(pipe.Options{}, pipe.Options{})
			c := ttrpc.NewClient(near)
			first := goCall(bg, c, "echo", "")
			synctest.Wait()
			near.Break(pipe.Fault{Kind: pipe.Cut}) // what the client writes from here on fails
			begin := time.Now()
			second := goCall(bg, c, "echo", "")
			synctest.Wait()
			wantExactly(t, <-goCall(bg, c, "echo", ""), ttrpc.ErrClosed)
			time.AfterFunc(tc.after, func() { _, _ = far.Write(answer(1, "").bytes()) })
			wantExactly(t, <-first, tc.want)
			wantExactly(t, <-second, ttrpc.ErrClosed)
			equal(t, time.Since(begin), time.Second)
			check(t, c.UserOnCloseWait(bg))
			wantIs(t, c.Err(), ttrpc.ErrClosed, syscall.EPIPE)
			check(t, far.Close())
			elapse(time.Minute)
		})
	}
}

// The on-close callback runs once, whoever ends the connection how often, and after all calls.
func TestOnCloseRunsOnce(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipe(t)
			rnd := rand.New(rand.NewPCG(seed, 0))
			var closes, ended atomic.Int32
			conn := pipeTo(t, r)
			c := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() {
				closes.Add(1)
				elapse(time.Second)
			}))
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					_, err := call(bg, c, "hold", "")
					wantIs(t, err, ttrpc.ErrClosed)
					ended.Add(1)
				})
				all.Go(func() {
					check(t, c.UserOnCloseWait(bg))
					equal(t, closes.Load(), 1)
				})
			}
			synctest.Wait()
			begin := time.Now()
			enders := []func(){
				func() { c.Close() }, func() { conn.Close() }, func() { r.Close() },
				func() { conn.Break(pipe.Fault{Kind: pipe.Reset}) }, func() { conn.CloseWrite() },
			}
			for range 3 {
				all.Go(enders[rnd.IntN(len(enders))])
			}
			all.Wait()
			equal(t, ended.Load(), 5)
			equal(t, closes.Load(), 1)
			equal(t, time.Since(begin), time.Second)
			ctx, cancel := context.WithCancel(bg)
			cancel()
			if err := c.UserOnCloseWait(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

// userConn is a conn as users make them of pipes and the like: it takes deadlines and knows none,
// and CloseWrite is not made for strangers.
type userConn struct {
	net.Conn
	closes *atomic.Int32
}

func (c userConn) SetDeadline(time.Time) error      { return nil }
func (c userConn) SetReadDeadline(time.Time) error  { return nil }
func (c userConn) SetWriteDeadline(time.Time) error { return nil }
func (c userConn) CloseWrite() error                { panic("not implemented") }
func (c userConn) Close() error                     { c.closes.Add(1); return c.Conn.Close() }

// A server closes such a conn once, when the last answer is written, whether the peer closes or
// not.
func TestShutdownOfUsersConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
		near, far := net.Pipe()
		var closes atomic.Int32
		l.conns <- userConn{near, &closes}
		r := serve(t, l)
		p := newRawPeer(t, far)
		p.send(request(1, "echo", "x"))
		p.wantAnswer(1, "x")
		begin := time.Now()
		check(t, r.Shutdown(bg))
		equal(t, time.Since(begin), 0)
		equal(t, closes.Load(), 1)
		p.wantEnd()
		check(t, far.Close())
	})
}

// Nor does a client that can't write any more wait for ever for what the peer has to say.
func TestLingeringIsBoundedWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe.New(pipe.Options{}, pipe.Options{})
		c := ttrpc.NewClient(userConn{near, new(atomic.Int32)})
		near.Break(pipe.Fault{Kind: pipe.Cut})
		begin := time.Now()
		wantExactly(t, <-goCall(bg, c, "echo", ""), ttrpc.ErrClosed)
		equal(t, time.Since(begin), time.Second)
		check(t, c.UserOnCloseWait(bg))
		check(t, far.Close())
	})
}

// stubbornListener cannot be closed without an error.
type stubbornListener struct{ net.Listener }

func (l stubbornListener) Close() error {
	_ = l.Listener.Close()
	return errStubborn
}

var errStubborn = errors.New("stubborn")

func TestListenersErrorAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(*ttrpc.Server) error{
		"shutdown": func(s *ttrpc.Server) error { return s.Shutdown(bg) },
		"close":    (*ttrpc.Server).Close,
	} {
		l := listen(t, "unix")
		r := serve(t, stubbornListener{l})
		r.l = l
		wantEcho(t, r.client()) // so Serve has the listener
		if err := end(r.Server); err != errStubborn {
			t.Errorf("%s: %v", name, err)
		}
		wantExactly(t, <-r.served, ttrpc.ErrServerClosed)
		check(t, end(r.Server))
	}
}

// What SendMsg and CloseSend have taken is written when the client is closed behind them, for a
// bounded time.
func TestCloseLosesNoMessage(t *testing.T) {
	for _, closeSend := range []bool{true, false} {
		frozen(t, func(t *testing.T) {
			a, b := pair(t, "unix")
			c, p := ttrpc.NewClient(a), newRawPeer(t, b)
			cs := open(t, bg, c, up, "join", nil)
			for i := range 200 {
				check(t, cs.SendMsg(text(strconv.Itoa(i))))
			}
			if closeSend {
				check(t, cs.CloseSend())
				check(t, a.(*net.UnixConn).CloseWrite()) // all has been written by now
			}
			check(t, c.Close())
			equal(t, p.recv().typ, 1)
			for i := range 200 {
				p.want(data(1, 0, strconv.Itoa(i)))
			}
			if closeSend {
				p.want(closing(1))
			}
			p.wantEnd()
		})
	}
}

func TestCloseWaitsForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := rawServer(t, "pipe")
		ctx, cancel := context.WithCancel(bg) // so that a flusher writes
		defer cancel()
		cs := open(t, ctx, c, up, "join", nil)
		begin := time.Now()
		sent, received := make(chan error, 1), make(chan error, 1)
		go func() { sent <- cs.SendMsg(text("unread")) }()
		go func() { received <- cs.RecvMsg(new(message)) }()
		synctest.Wait()
		check(t, c.Close())
		equal(t, time.Since(begin), time.Second)
		wantExactly(t, <-received, ttrpc.ErrClosed)
		check(t, <-sent)
		p.Close()
	})
}
