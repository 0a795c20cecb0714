//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

var errNobody = errors.New("nobody is there")

// place is where a client of Dial finds its server, or does not. Each dial has its time.
type place struct {
	t testing.TB

	mu    sync.Mutex // guards all below
	rig   *rig
	took  time.Duration
	dials []time.Duration // since the place was made
	began time.Time
	conns []*pipe.Conn
}

func newPlace(t testing.TB) *place { return &place{t: t, began: time.Now()} }

// set puts a server there; nil: none.
func (p *place) set(r *rig) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rig = r
}

func (p *place) dial(ctx context.Context, target string) (net.Conn, error) {
	equal(p.t, target, "the place")
	p.mu.Lock()
	p.dials = append(p.dials, time.Since(p.began))
	r, took := p.rig, p.took
	p.mu.Unlock()
	timer := time.NewTimer(took)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r == nil {
		return nil, errNobody
	}
	conn, err := r.l.(*pipe.Listener).Dial(pipe.Options{}, pipe.Options{})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conn)
	return conn, nil
}

// dialled is how often somebody has.
func (p *place) dialled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dials)
}

// cut ends the last connection.
func (p *place) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[len(p.conns)-1].Break(pipe.Fault{Kind: pipe.CutEnd})

}

// exact is a backoff that can be foretold.
var exact = ttrpc.WithBackoff(ttrpc.Backoff{Jitter: -1})

func (p *place) client(opts ...ttrpc.ClientOpts) *ttrpc.Client {
	p.t.Helper()
	c, err := ttrpc.Dial(bg, "the place", append([]ttrpc.ClientOpts{ttrpc.WithDialer(p.dial), exact}, opts...)...)
	check(p.t, err)
	p.t.Cleanup(func() { check(p.t, c.Close()); check(p.t, c.UserOnCloseWait(bg)) })
	return c
}

// wantNoConn is for the error of a call without a connection.
func wantNoConn(t testing.TB, err, cause error) {
	t.Helper()
	wantIs(t, err, ttrpc.ErrClosed, cause)
	equal(t, ttrpc.NotSent(err), true)
	equal(t, ttrpc.StatusOf(err).Code(), codes.Unavailable)
}

// The first call dials, further ones use the connection, and after its end the next one dials
// again.
func TestRedialDialsWhenACallNeedsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.set(onPipe(t))
		c := p.client()
		synctest.Wait()
		equal(t, p.dialled(), 0)
		equal(t, c.RemoteAddr(), nil)
		check(t, c.Err())
		for i := range 3 {
			for range 3 {
				wantEcho(t, c)
				cs := open(t, bg, c, both, "chat", nil)
				check(t, cs.SendMsg(text("x")))
				check(t, cs.CloseSend())
				wantTexts(t, cs, "x")
			}
			equal(t, p.dialled(), i+1)
			equal(t, c.RemoteAddr(), net.Addr(pipe.Addr{}))
			check(t, c.Err())
			p.cut()
			synctest.Wait()
			wantIs(t, c.Err(), ttrpc.ErrClosed, io.EOF)
		}
		equal(t, p.dialled(), 3)
	})
}

// While nobody is there calls fail: those that find an attempt with its error, others at once with
// the last one, and attempts come as the backoff says.
func TestRedialBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.took = 100 * time.Millisecond
		c := p.client()
		for range 2 {
			failed := []<-chan error{goCall(bg, c, "echo", ""), goCall(bg, c, "echo", "")}
			for _, err := range failed {
				wantNoConn(t, <-err, errNobody)
			}
			_, err := c.NewStream(bg, both, svc, "chat", nil)
			wantNoConn(t, err, errNobody)
			wantIs(t, c.Err(), errNobody)
		}
		equal(t, p.dialled(), 1)
		ctx, cancel := context.WithTimeout(bg, 20*time.Second)
		defer cancel()
		_, err := call(ttrpc.WaitForReady(ctx), c, "echo", "")
		wantIs(t, err, context.DeadlineExceeded)
		equal(t, errors.Is(err, ttrpc.ErrClosed), false)
		equal(t, ttrpc.NotSent(err), true)
		equal(t, ttrpc.StatusOf(err).Code(), codes.DeadlineExceeded)
		equal(t, err.Error(), "context deadline exceeded: ttrpc: no connection to the place: nobody is there")
		s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
		want := []time.Duration{0, s(1), s(2.6), s(5.16), s(9.256), s(15.8096)}
		equal(t, fmt.Sprint(p.dials), fmt.Sprint(want))

		p.set(onPipe(t))
		_, err = call(bg, c, "echo", "")
		wantNoConn(t, err, errNobody) // at once: the next attempt is not due
		equal(t, p.dialled(), 6)
		out, err := call(ttrpc.WaitForReady(bg), c, "echo", "x")
		check(t, err)
		equal(t, out, "x")
		equal(t, time.Since(p.began).Round(time.Millisecond), s(26.395)) // 15.8096 + 1.6^5 + 0.1
	})
}

// With nobody waiting nothing is dialled, and a call long after a failure has its own attempt.
func TestRedialIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.client()
		_, err := call(bg, c, "echo", "")
		wantNoConn(t, err, errNobody)
		elapse(time.Hour)
		equal(t, p.dialled(), 1)
		wantIs(t, c.Err(), errNobody)
		_, err = call(bg, c, "echo", "")
		wantNoConn(t, err, errNobody)
		equal(t, p.dialled(), 2)
		elapse(time.Hour)
		p.set(onPipe(t))
		wantEcho(t, c)
	})
}

// All calls wait with WithWaitForReady, streams too.
func TestRedialWaitForReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.client(ttrpc.WithWaitForReady())
		var results []<-chan error
		for range 10 {
			results = append(results, goCall(bg, c, "echo", "x"))
		}
		opened := make(chan error, 1)
		go func() {
			cs, err := c.NewStream(bg, down, svc, "list", text("2"))
			if err == nil {
				wantTexts(t, cs, "0", "1")
			}
			opened <- err
		}()
		elapse(10 * time.Second)
		p.set(onPipe(t))
		for _, r := range results {
			check(t, <-r)
		}
		check(t, <-opened)
	})
}

// A call in flight at the end of its connection may have run: it fails, and is not made again.
func TestRedialDoesNotRepeatWhatMayHaveRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, p := newGate(), newPlace(t)
		p.set(onPipe(t, withMethod("wait", g.unary()), withStream("wait stream", g.stream())))
		c := p.client(ttrpc.WithWaitForReady())
		held := goCall(bg, c, "wait", "one")
		equal(t, <-g.started, "one")
		cs := open(t, bg, c, both, "wait stream", nil)
		<-g.started
		p.cut()
		err := <-held
		wantIs(t, err, ttrpc.ErrClosed)
		equal(t, ttrpc.NotSent(err), false)
		_, err = recvText(cs)
		wantIs(t, err, ttrpc.ErrClosed)
		equal(t, ttrpc.NotSent(err), false)
		g.open()
		wantEcho(t, c)
		equal(t, len(g.started), 0)
	})
}

// A server that drains refuses calls: they are made again elsewhere, while those that it has begun
// end there.
func TestRedialFromADrainingServer(t *testing.T) {
	passed := atomic.Int32{}
	interceptor := ttrpc.WithUnaryClientInterceptor(
		func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			passed.Add(1)
			return invoke(ctx, req, resp)
		})
	for name, opts := range map[string][]ttrpc.ClientOpts{"plain": nil, "intercepted": {interceptor}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				passed.Store(0)
				g, p := newGate(), newPlace(t)
				old, next := onPipe(t, withMethod("wait", g.unary())), onPipe(t)
				p.set(old)
				c := p.client(append(opts, ttrpc.WithWaitForReady())...)
				wantEcho(t, c)
				held := goCall(bg, c, "wait", "one")
				<-g.started
				ended, cancel := context.WithCancel(bg)
				cancel()
				wantExactly(t, old.Shutdown(ended), context.Canceled)
				p.set(next)
				ctx, cancel := context.WithTimeout(bg, time.Minute)
				defer cancel()
				out, err := call(ctx, c, "echo", "x")
				check(t, err)
				equal(t, out, "x")
				equal(t, p.dialled(), 2)
				g.open()
				check(t, <-held)
				wantEcho(t, c)
				equal(t, p.dialled(), 2)
				if opts != nil {
					equal(t, passed.Load(), 4) // once for each call, however often it was sent
				}
			})
		})
	}
}

// A server that takes connections and serves no call on them is dialled with the backoff's pauses.
func TestRedialOfAServerThatClosesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		c, err := ttrpc.Dial(bg, "", exact, ttrpc.WithWaitForReady(),
			ttrpc.WithDialer(func(context.Context, string) (net.Conn, error) {
				dials++
				a, b := net.Pipe()
				b.Close()
				return a, nil
			}))
		check(t, err)
		defer c.Close()
		ctx, cancel := context.WithTimeout(bg, 100*time.Second)
		defer cancel()
		for ctx.Err() == nil {
			_, err := call(ctx, c, "echo", "")
			equal(t, err == nil, false)
		}
		synctest.Wait()
		if dials < 5 || dials > 10 {
			t.Errorf("%d dials in 100 seconds", dials)
		}
	})
}

func TestRedialClose(t *testing.T) {
	t.Run("while calls wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t)
			c := p.client(ttrpc.WithWaitForReady())
			held := goCall(bg, c, "echo", "")
			synctest.Wait()
			check(t, c.Close())
			check(t, c.UserOnCloseWait(bg))
			for _, err := range []error{<-held, <-goCall(bg, c, "echo", "")} {
				wantNoConn(t, err, net.ErrClosed)
			}
			elapse(time.Hour)
			equal(t, p.dialled(), 1)
		})
	})
	t.Run("while an attempt runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t)
			p.took = time.Hour
			c := p.client(ttrpc.WithConnectTimeout(0))
			held := goCall(bg, c, "echo", "")
			synctest.Wait()
			began := time.Now()
			check(t, c.Close())
			wantNoConn(t, <-held, net.ErrClosed)
			check(t, c.UserOnCloseWait(bg))
			equal(t, time.Since(began), 0)
		})
	})
	t.Run("while a connection shakes hands", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t)
			p.set(onPipe(t))
			c := p.client(ttrpc.WithClientHandshaker(readingHandshake{}))
			held := goCall(bg, c, "echo", "")
			synctest.Wait()
			equal(t, p.dialled(), 1)
			began := time.Now()
			check(t, c.Close())
			wantNoConn(t, <-held, net.ErrClosed)
			check(t, c.UserOnCloseWait(bg))
			equal(t, time.Since(began), 0)
		})
	})
	t.Run("never dialled", func(t *testing.T) {
		p := newPlace(t)
		c := p.client()
		check(t, c.Close())
		check(t, c.UserOnCloseWait(bg))
		wantIs(t, c.Err(), ttrpc.ErrClosed, net.ErrClosed)
	})
}

// readingHandshake waits for a byte that does not come.
type readingHandshake struct{}

func (readingHandshake) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	_, err := conn.Read(make([]byte, 1))
	return conn, nil, err
}

// An attempt is bounded, its handshake included, and says which step has failed.
func TestRedialConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.set(onPipe(t))
		c := p.client(ttrpc.WithClientHandshaker(readingHandshake{}), ttrpc.WithConnectTimeout(5*time.Second))
		_, err := call(bg, c, "echo", "")
		wantNoConn(t, err, context.DeadlineExceeded)
		equal(t, time.Since(p.began), 5*time.Second)
		c = p.client(ttrpc.WithClientHandshaker(readingHandshake{}), ttrpc.WithClientHandshakeTimeout(2*time.Second))
		_, err = call(bg, c, "echo", "")
		wantIs(t, err, ttrpc.ErrClosed)
		equal(t, time.Since(p.began), 7*time.Second)
		p.took = time.Hour
		c = p.client()
		_, err = call(bg, c, "echo", "")
		wantNoConn(t, err, context.DeadlineExceeded)
		equal(t, time.Since(p.began), 27*time.Second) // the default
	})
}

// A call's own context ends its waiting, and does not end the attempt for others.
func TestRedialContextOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.set(onPipe(t))
		p.took = time.Second
		c := p.client()
		ended, cancel := context.WithCancel(bg)
		cancel()
		_, err := call(ended, c, "echo", "")
		wantExactly(t, err, context.Canceled)
		equal(t, p.dialled(), 0)
		ctx, cancel := context.WithCancel(bg)
		first, second := goCall(ctx, c, "echo", ""), goCall(bg, c, "echo", "")
		synctest.Wait()
		cancel()
		err = <-first
		wantIs(t, err, context.Canceled)
		equal(t, ttrpc.NotSent(err), true)
		equal(t, err.Error(), "context canceled: ttrpc: no connection to the place: the first attempt has not ended")
		check(t, <-second)
		equal(t, p.dialled(), 1)
	})
}

type traceKey struct{}

// Dial's context gives its values to attempts, and not its end.
func TestDialContextGivesAttemptsItsValues(t *testing.T) {
	p := newPlace(t)
	ctx, cancel := context.WithCancel(context.WithValue(bg, traceKey{}, "value"))
	seen := make(chan any, 1)
	c, err := ttrpc.Dial(ctx, "x", ttrpc.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		seen <- ctx.Value(traceKey{})
		return nil, ctx.Err()
	}))
	check(t, err)
	defer c.Close()
	cancel()
	_, err = call(bg, c, "echo", "")
	equal(t, err.Error(), "ttrpc: no connection to x: the dialer returned neither a connection nor an error")
	equal(t, <-seen, any("value"))
	_, err = ttrpc.Dial(ctx, "x", ttrpc.WithDialer(p.dial))
	wantExactly(t, err, context.Canceled)
}

// States are told in their order, with reasons, and the end last.
func TestRedialStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		var c *ttrpc.Client
		tell := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, what)
		}
		p := newPlace(t)
		c = p.client(ttrpc.WithOnClose(func() { tell("on close") }), ttrpc.WithStateCallback(func(s ttrpc.ConnState, err error) {
			_ = c.Err() // it may use the client
			tell(fmt.Sprint(s, " ", err))
		}))
		_, err := call(bg, c, "echo", "")
		wantNoConn(t, err, errNobody)
		elapse(time.Minute)
		p.set(onPipe(t))
		wantEcho(t, c)
		p.cut()
		synctest.Wait()
		wantEcho(t, c)
		check(t, c.Close())
		check(t, c.UserOnCloseWait(bg))
		mu.Lock()
		defer mu.Unlock()
		want := []string{
			"Connecting <nil>",
			"TransientFailure ttrpc: no connection to the place: nobody is there",
			"Idle ttrpc: no connection to the place: nobody is there",
			"Connecting <nil>", "Ready <nil>",
			"Idle ttrpc: no connection to the place: the connection has ended: EOF",
			"Connecting <nil>", "Ready <nil>",
			"Closed ttrpc: closed: use of closed network connection",
			"on close",
		}
		equal(t, fmt.Sprintf("%q", told), fmt.Sprintf("%q", want))
		equal(t, ttrpc.ConnState(9).String(), "ConnState(9)")
	})
}

// A callback may be slow, call, and close: nobody waits for it but UserOnCloseWait.
func TestRedialStateCallbackMayUseTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.set(onPipe(t))
		var c *ttrpc.Client
		c = p.client(ttrpc.WithStateCallback(func(s ttrpc.ConnState, _ error) {
			elapse(time.Minute)
			if s == ttrpc.StateReady {
				wantEcho(t, c)
				check(t, c.Close())
			}
		}))
		began := time.Now()
		wantEcho(t, c)
		equal(t, time.Since(began), 0)
		check(t, c.UserOnCloseWait(bg))
		equal(t, time.Since(began), 3*time.Minute)
	})
}

// A client of NewClient has no use for the options of Dial.
func TestOptionsOfDialOnNewClient(t *testing.T) {
	c := serve(t).client(ttrpc.WithWaitForReady(), exact, ttrpc.WithConnectTimeout(1),
		ttrpc.WithDialer(nil), ttrpc.WithStateCallback(func(ttrpc.ConnState, error) { t.Error("called") }))
	_, err := call(ttrpc.WaitForReady(bg), c, "echo", "")
	check(t, err)
}

// Many callers, a server that comes and goes: nothing is lost that waits, but for what was in
// flight at an end.
func TestRedialUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.client(ttrpc.WithWaitForReady())
		var done atomic.Bool
		var ok, lost atomic.Int64
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() {
				for !done.Load() {
					out, err := call(bg, c, "echo", "x")
					switch {
					case err == nil && out == "x":
						ok.Add(1)
					case ttrpc.NotSent(err) || !errors.Is(err, ttrpc.ErrClosed):
						t.Error(err)
						return
					default:
						lost.Add(1)
					}
					elapse(50 * time.Millisecond)
				}
			})
		}
		for range 10 {
			r := onPipe(t)
			p.set(r)
			elapse(5 * time.Second)
			p.set(nil)
			check(t, r.Server.Close())
		}
		done.Store(true)
		p.set(onPipe(t))
		callers.Wait()
		t.Log(ok.Load(), "answered", lost.Load(), "may have run")
		if ok.Load() == 0 {
			t.Error("no call was answered")
		}
	})
}

// halfDeadConn can't be written once it is dead, and does not end for its reader.
type halfDeadConn struct {
	net.Conn
	dead atomic.Bool
}

func (c *halfDeadConn) Write(b []byte) (int, error) {
	if c.dead.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(b)
}

// A connection that can't be written any more, but may still bring answers for a second, gets no
// further calls: they go to the next one meanwhile.
func TestRedialLeavesAConnectionThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, p := newGate(), newPlace(t)
		p.set(onPipe(t, withMethod("wait", g.unary())))
		var first *halfDeadConn
		c := p.client(ttrpc.WithDialer(func(ctx context.Context, target string) (net.Conn, error) {
			conn, err := p.dial(ctx, target)
			if first == nil {
				first = &halfDeadConn{Conn: conn}
				return first, err
			}
			return conn, err
		}))
		wantEcho(t, c)
		held := goCall(bg, c, "wait", "one")
		<-g.started
		first.dead.Store(true)
		unknown := goCall(bg, c, "echo", "x") // its write fails
		synctest.Wait()
		began := time.Now()
		p.took = 15 * time.Second
		next := goCall(bg, c, "echo", "x")
		synctest.Wait()
		equal(t, c.Err().Error(), "ttrpc: no connection to the place: the connection takes no further calls: broken pipe")
		wantIs(t, c.Err(), ttrpc.ErrClosed, syscall.EPIPE)
		equal(t, p.dialled(), 2)
		g.open()
		check(t, <-held)
		wantIs(t, <-unknown, ttrpc.ErrClosed)
		equal(t, time.Since(began), time.Second)
		check(t, <-next)
		equal(t, time.Since(began), 15*time.Second)
		equal(t, p.dialled(), 2)
	})
}

// A connection that takes no further calls is closed when its last call has ended, though its
// server keeps it open: it would stay for ever, and one more for each shutdown.
func TestRedialClosesConnectionsThatItHasLeft(t *testing.T) {
	for name, last := range map[string]func(id uint32) rawFrame{
		"GoAway":  func(uint32) rawFrame { return goAway(1) },
		"GoAway0": func(uint32) rawFrame { return goAway(0) },
		"refusal": func(id uint32) rawFrame { return refusal(id, codes.Unavailable, "ttrpc: server closed") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peers := make(chan *rawPeer, 10)
				c, err := ttrpc.Dial(bg, "", exact, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed),
					ttrpc.WithDialer(func(context.Context, string) (net.Conn, error) {
						near, far := pipePair(t)
						peers <- newRawPeer(t, far)
						return near, nil
					}))
				check(t, err)
				defer c.Close()
				for range 3 {
					held := goCall(bg, c, "hold", "x")
					p := <-peers
					first, _ := p.recvRequest()
					p.want(hello(first.id))
					quick := goCall(bg, c, "echo", "x")
					f, _ := p.recvRequest()
					p.send(answer(f.id, "x"))
					check(t, <-quick)
					refused := goCall(bg, c, "echo", "x")
					f, _ = p.recvRequest()
					p.send(last(f.id))
					next := <-peers
					if name == "GoAway0" { // which leaves no call there
						p.wantEnd()
						p = next
						p.answerAll(2)
						check(t, <-held)
					} else {
						synctest.Wait()
						equal(t, len(c.Snapshot().Conns), 2)
						next.answerAll(1)
						p.send(answer(first.id, "x"))
						check(t, <-held)
						p.wantEnd()
						p = next
					}
					check(t, <-refused)
					synctest.Wait()
					equal(t, len(c.Snapshot().Conns), 1)
					p.Close()
					synctest.Wait()
				}
			})
		})
	}
}

// answerAll answers the first calls on a connection of a client that says Hello with the first.
func (p *rawPeer) answerAll(n int) {
	p.t.Helper()
	for i := range n {
		f, _ := p.recvRequest()
		if i == 0 {
			p.want(hello(f.id))
		}
		p.send(answer(f.id, "x"))
	}
}

// A GoAway right behind an answer is no failure of the connection: that has served a call, and the
// next one goes to another at once.
func TestRedialGoAwayBehindAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := ttrpc.Dial(bg, "", exact, ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed),
			ttrpc.WithDialer(func(context.Context, string) (net.Conn, error) {
				near, far := pipePair(t)
				p := newRawPeer(t, far)
				go func() {
					for f, err := p.receive(); err == nil; f, err = p.receive() {
						if f.typ == 1 {
							p.send(answer(f.id, "x"), goAway(f.id))
						}
					}
				}()
				return near, nil
			}))
		check(t, err)
		defer c.Close()
		for range 100 {
			_, err := call(bg, c, "echo", "x")
			check(t, err)
		}
		synctest.Wait()
		equal(t, len(c.Snapshot().Conns), 1)
	})
}
