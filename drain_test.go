//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// ended is a context that has ended, as that of a program that waits for a signal before it shuts
// down.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// shutdown calls Shutdown and fails the test when it hangs.
func shutdown(t testing.TB, ctx context.Context, s *ttrpc.Server) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	return wait(t, done, "Shutdown")
}

// slowGate holds calls until it is opened.
type slowGate struct {
	entered chan struct{}
	open    chan struct{}
	early   atomic.Bool // what was to wait has not
}

func newSlowGate(t testing.TB) *slowGate {
	g := &slowGate{entered: make(chan struct{}, 64), open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func openSfGate(t testing.TB) *slowGate {
	g := newSlowGate(t)
	g.release()
	return g
}

func (g *slowGate) release() {
	if !g.isOpen() {
		close(g.open)
	}
}

func (g *slowGate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

// wait is a handler that has no eye on its context.
func (g *slowGate) wait(_ context.Context, in string) (any, error) {
	g.pass()
	return text(in), nil
}

func (g *slowGate) pass() {
	g.entered <- struct{}{}
	<-g.open
}

// (a) A context that has ended bounds the waiting; where there is nothing to wait for it says
// nothing.
func TestShutdownOfIdleConnectionsWithAnEndedContext(t *testing.T) {
	for _, conns := range []int{0, 1, 20} {
		t.Run(fmt.Sprint(conns), func(t *testing.T) {
			frozen(t, func(t *testing.T) {
				s, l := serveOn(t, nil, serviceOf(nil, nil))
				var clients []*ttrpc.Client
				for range conns {
					c := newClient(t, dial(t, l))
					wantEcho(t, c)
					clients = append(clients, c)
				}
				check(t, shutdown(t, ended(), s))
				for _, c := range clients {
					_, err := call(context.Background(), c, "echo", "")
					wantIs(t, err, ttrpc.ErrClosed)
				}
				check(t, shutdown(t, ended(), s))
			})
		})
	}
}

// A connection on which there was a call only lately is idle too: its answer has been sent.
func TestShutdownAfterTheAnswerWithAnEndedContext(t *testing.T) {
	for range 200 {
		frozen(t, func(t *testing.T) {
			s, l := serveOn(t, nil, serviceOf(nil, nil))
			c := newClient(t, dial(t, l))
			wantEcho(t, c)
			check(t, shutdown(t, ended(), s))
			check(t, c.Close())
		})
	}
}

// With a call in flight the context counts, and the rest goes on.
func TestShutdownBesideACallWithAnEndedContext(t *testing.T) {
	g := newSlowGate(t)
	s, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{"wait": methodOf(g.wait)}, nil))
	done := goCall(context.Background(), newClient(t, dial(t, l)), "wait", "")
	wait(t, g.entered, "the call")
	equal(t, shutdown(t, ended(), s), context.Canceled)
	g.release()
	check(t, wait(t, done, "the answer"))
	check(t, shutdown(t, context.Background(), s))
}

// deaf is a conn whose Close does not wake its Read, as a terminal's.
type deaf struct {
	net.Conn
	closed chan struct{}
}

func (c *deaf) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		return n, nil
	}
	select {}
}

func (c *deaf) Close() error {
	close(c.closed)
	return c.Conn.Close()
}

func (c *deaf) SetReadDeadline(time.Time) error { return nil }
func (c *deaf) SetDeadline(time.Time) error     { return nil }

// (b) Nor does Shutdown wait for a Read that never returns: the connection is closed. Its reader is
// lost for good, which would be a leak of this package's tests; so a process of its own has it.
func TestShutdownOfAConnWhoseReadDoesNotEnd(t *testing.T) {
	if child() == "" {
		for _, how := range []string{"Shutdown", "Close", "handshake"} {
			if out, err := runChildOf(t, t.Name(), how); err != nil || !strings.Contains(out, "done") {
				t.Errorf("%s: %v: %.1500s", how, err, out)
			}
		}
		return
	}
	near, far := pair(t, "unix")
	deaf, entered := &deaf{Conn: far, closed: make(chan struct{})}, make(chan struct{})
	var opts []ttrpc.ServerOpt
	if child() == "handshake" {
		opts = append(opts, ttrpc.WithServerHandshaker(handshakeOf(func(context.Context) error {
			close(entered)
			select {}
		})))
	}
	s, _ := serveOn(t, newConnListener(deaf), serviceOf(nil, nil), opts...)
	c := newClient(t, near)
	if child() == "handshake" {
		wait(t, entered, "the handshake")
	} else {
		wantEcho(t, c)
	}
	if child() == "Close" {
		check(t, s.Close())
	}
	check(t, shutdown(t, context.Background(), s))
	wait(t, deaf.closed, "the conn to be closed")
	fmt.Println("done")
	os.Exit(0)
}

// (c) A handler whose client has gone has nobody to answer to: it is not waited for, unary or
// stream.
func TestShutdownBesideAHandlerWithoutAClient(t *testing.T) {
	for _, first := range []string{"Shutdown", "Close"} {
		for _, method := range []string{"unary", "stream"} {
			t.Run(first+" "+method, func(t *testing.T) {
				g, ended := newSlowGate(t), make(chan struct{}, 1)
				await := func(ctx context.Context) (any, error) {
					context.AfterFunc(ctx, func() { ended <- struct{}{} })
					return g.wait(ctx, "")
				}
				s, l := serveOn(t, nil, serviceOf(
					map[string]ttrpc.Method{"unary": methodOf(func(ctx context.Context, _ string) (any, error) { return await(ctx) })},
					map[string]ttrpc.StreamHandler{"stream": func(ctx context.Context, _ ttrpc.StreamServer) (any, error) { return await(ctx) }},
				))
				p := newRawPeer(t, dial(t, l))
				flags := map[string]byte{"unary": 0, "stream": 6}[method]
				p.send(requestWith(1, flags, method, nil))
				wait(t, g.entered, "the handler")
				if first == "Close" {
					check(t, s.Close()) // the client is as good as gone
				} else {
					check(t, p.Close())
				}
				wait(t, ended, "the end of the handler's context")
				check(t, shutdown(t, context.Background(), s))
			})
		}
	}
}

// The client goes while Shutdown waits.
func TestShutdownEndsWhenTheClientGoes(t *testing.T) {
	g := newSlowGate(t)
	s, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{"wait": methodOf(g.wait)}, nil))
	p := newRawPeer(t, dial(t, l))
	p.send(requestWith(1, 0, "wait", nil))
	wait(t, g.entered, "the handler")
	idle := newClient(t, dial(t, l))
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	check(t, idle.UserOnCloseWait(context.Background())) // Shutdown is at it
	check(t, p.Close())
	check(t, wait(t, done, "Shutdown"))
}

// (e) What comes while a connection drains is refused, in words for both who ask for a status and
// who ask for ErrClosed.
func TestCallWhileAConnectionDrains(t *testing.T) {
	g := newSlowGate(t)
	s, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{"wait": methodOf(g.wait)}, nil))
	c := newClient(t, dial(t, l))
	held := goCall(context.Background(), c, "wait", "")
	wait(t, g.entered, "the call")
	equal(t, shutdown(t, ended(), s), context.Canceled)
	wantRefused := func(err error) {
		t.Helper()
		wantIs(t, err, ttrpc.ErrClosed)
		st, ok := status.FromError(err)
		if !ok || st.Code() != codes.Unavailable || !strings.HasSuffix(st.Message(), "ttrpc: server closed") {
			t.Fatalf("got %v (%T), want Unavailable", err, err)
		}
	}
	_, err := call(context.Background(), c, "echo", "")
	wantRefused(err)
	cs, err := c.NewStream(context.Background(), both, svc, "any", nil)
	check(t, err)
	wantRefused(cs.RecvMsg(new(wrapperspb.StringValue)))
	wantRefused(cs.RecvMsg(new(wrapperspb.StringValue)))
	g.release()
	check(t, wait(t, held, "the call in flight"))
}

// A handler's own Unavailable is no end of the connection.
func TestUnavailableOfAHandler(t *testing.T) {
	_, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{"no": methodOf(func(context.Context, string) (any, error) {
		return nil, status.Error(codes.Unavailable, "try again")
	})}, nil))
	c := newClient(t, dial(t, l))
	_, err := call(context.Background(), c, "no", "")
	wantStatus(t, err, codes.Unavailable, "try again")
	if errors.Is(err, ttrpc.ErrClosed) {
		t.Fatal("it is not closed")
	}
	wantEcho(t, c)
}

// (f) Close waits for nothing but messages that a stream's SendMsg has accepted: a call that is
// unwritten, for the server does not read, is cut at once. In the bubble no time goes by unless
// somebody waits for it.
func TestClientCloseBesideAServerThatDoesNotRead(t *testing.T) {
	for name, begin := range map[string]func(*ttrpc.Client) error{
		"call": func(c *ttrpc.Client) error {
			_, err := call(context.Background(), c, "echo", "x")
			return err
		},
		"large call": func(c *ttrpc.Client) error {
			_, err := call(context.Background(), c, "echo", strings.Repeat("x", 3<<20))
			return err
		},
		"stream": func(c *ttrpc.Client) error {
			cs, err := c.NewStream(context.Background(), both, svc, "both", nil)
			if err != nil {
				return err
			}
			return cs.RecvMsg(new(wrapperspb.StringValue))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				c := ttrpc.NewClient(near)
				done := make(chan error, 1)
				go func() { done <- begin(c) }()
				synctest.Wait()
				start := time.Now()
				check(t, c.Close())
				if err := <-done; !errors.Is(err, ttrpc.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
					t.Error("got", err)
				}
				equal(t, time.Since(start), 0)
			})
		})
	}
}

// A request that has come when Shutdown begins, and that nobody has read, is refused, and not lost
// with the connection: its client learns that it did not run. With one processor the server's
// reader does not get it before.
func TestShutdownBesideARequestThatIsUnread(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 20 {
		r := serve(t)
		p := r.raw()
		p.send(request(1, "echo", "read"))
		equal(t, p.recv().typ, 2)
		p.send(request(3, "echo", "unread"))
		check(t, shutdown(t, bg, r.Server))
		if f := p.recv(); f.id != 3 || f.typ != 2 {
			t.Fatalf("got %v, want a Response", f)
		}
		p.wantEnd()
	}
}
