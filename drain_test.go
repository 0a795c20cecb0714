//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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

// sfEnded is a context that has ended, as that of a program that waits for a signal before it shuts
// down.
func sfEnded() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// sfShutdown calls Shutdown and fails the test when it hangs.
func sfShutdown(t testing.TB, ctx context.Context, s *ttrpc.Server) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	return sfWait(t, done, "Shutdown")
}

// sfGate holds calls until it is opened.
type sfGate struct {
	entered chan struct{}
	open    chan struct{}
	early   atomic.Bool // what was to wait has not
}

func newSfGate(t testing.TB) *sfGate {
	g := &sfGate{entered: make(chan struct{}, 64), open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func openSfGate(t testing.TB) *sfGate {
	g := newSfGate(t)
	g.release()
	return g
}

func (g *sfGate) release() {
	if !g.isOpen() {
		close(g.open)
	}
}

func (g *sfGate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

// wait is a handler that has no eye on its context.
func (g *sfGate) wait(_ context.Context, in string) (any, error) {
	g.pass()
	return sfText(in), nil
}

func (g *sfGate) pass() {
	g.entered <- struct{}{}
	<-g.open
}

// (a) A context that has ended bounds the waiting; where there is nothing to wait for it says
// nothing.
func TestShutdownOfIdleConnectionsWithAnEndedContext(t *testing.T) {
	for _, conns := range []int{0, 1, 20} {
		t.Run(fmt.Sprint(conns), func(t *testing.T) {
			frozen(t, func(t *testing.T) {
				s, l := sfServe(t, nil, sfDesc(nil, nil))
				var clients []*ttrpc.Client
				for range conns {
					c := sfClient(t, sfDial(t, l))
					sfWantEcho(t, c)
					clients = append(clients, c)
				}
				sfCheck(t, sfShutdown(t, sfEnded(), s))
				for _, c := range clients {
					_, err := sfCall(context.Background(), c, "echo", "")
					sfWantIs(t, err, ttrpc.ErrClosed)
				}
				sfCheck(t, sfShutdown(t, sfEnded(), s))
			})
		})
	}
}

// A connection on which there was a call only lately is idle too: its answer has been sent.
func TestShutdownAfterTheAnswerWithAnEndedContext(t *testing.T) {
	for range 200 {
		frozen(t, func(t *testing.T) {
			s, l := sfServe(t, nil, sfDesc(nil, nil))
			c := sfClient(t, sfDial(t, l))
			sfWantEcho(t, c)
			sfCheck(t, sfShutdown(t, sfEnded(), s))
			sfCheck(t, c.Close())
		})
	}
}

// With a call in flight the context counts, and the rest goes on.
func TestShutdownBesideACallWithAnEndedContext(t *testing.T) {
	g := newSfGate(t)
	s, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{"wait": sfMethod(g.wait)}, nil))
	done := sfGo(context.Background(), sfClient(t, sfDial(t, l)), "wait", "")
	sfWait(t, g.entered, "the call")
	sfEqual(t, sfShutdown(t, sfEnded(), s), context.Canceled)
	g.release()
	sfCheck(t, sfWait(t, done, "the answer"))
	sfCheck(t, sfShutdown(t, context.Background(), s))
}

// sfDeaf is a conn whose Close does not wake its Read, as a terminal's.
type sfDeaf struct {
	net.Conn
	closed chan struct{}
}

func (c *sfDeaf) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		return n, nil
	}
	select {}
}

func (c *sfDeaf) Close() error {
	close(c.closed)
	return c.Conn.Close()
}

func (c *sfDeaf) SetReadDeadline(time.Time) error { return nil }
func (c *sfDeaf) SetDeadline(time.Time) error     { return nil }

// (b) Nor does Shutdown wait for a Read that never returns: the connection is closed. Its reader is
// lost for good, which would be a leak of this package's tests; so a process of its own has it.
func TestShutdownOfAConnWhoseReadDoesNotEnd(t *testing.T) {
	if sfChild() == "" {
		for _, how := range []string{"Shutdown", "Close", "handshake"} {
			if out, err := sfRunChildOf(t, t.Name(), how); err != nil || !strings.Contains(out, "done") {
				t.Errorf("%s: %v: %.1500s", how, err, out)
			}
		}
		return
	}
	near, far := sfPair(t)
	deaf, entered := &sfDeaf{Conn: far, closed: make(chan struct{})}, make(chan struct{})
	var opts []ttrpc.ServerOpt
	if sfChild() == "handshake" {
		opts = append(opts, ttrpc.WithServerHandshaker(sfHandshakeContext(func(context.Context) error {
			close(entered)
			select {}
		})))
	}
	s, _ := sfServe(t, newSfListener(deaf), sfDesc(nil, nil), opts...)
	c := sfClient(t, near)
	if sfChild() == "handshake" {
		sfWait(t, entered, "the handshake")
	} else {
		sfWantEcho(t, c)
	}
	if sfChild() == "Close" {
		sfCheck(t, s.Close())
	}
	sfCheck(t, sfShutdown(t, context.Background(), s))
	sfWait(t, deaf.closed, "the conn to be closed")
	fmt.Println("done")
	os.Exit(0)
}

// (c) A handler whose client has gone has nobody to answer to: it is not waited for, unary or
// stream.
func TestShutdownBesideAHandlerWithoutAClient(t *testing.T) {
	for _, first := range []string{"Shutdown", "Close"} {
		for _, method := range []string{"unary", "stream"} {
			t.Run(first+" "+method, func(t *testing.T) {
				g, ended := newSfGate(t), make(chan struct{}, 1)
				wait := func(ctx context.Context) (any, error) {
					context.AfterFunc(ctx, func() { ended <- struct{}{} })
					return g.wait(ctx, "")
				}
				s, l := sfServe(t, nil, sfDesc(
					map[string]ttrpc.Method{"unary": sfMethod(func(ctx context.Context, _ string) (any, error) { return wait(ctx) })},
					map[string]ttrpc.StreamHandler{"stream": func(ctx context.Context, _ ttrpc.StreamServer) (any, error) { return wait(ctx) }},
				))
				p := newSfPeer(t, sfDial(t, l))
				flags := map[string]byte{"unary": 0, "stream": 6}[method]
				p.send(sfRequest(1, flags, method, nil))
				sfWait(t, g.entered, "the handler")
				if first == "Close" {
					sfCheck(t, s.Close()) // the client is as good as gone
				} else {
					sfCheck(t, p.Close())
				}
				sfWait(t, ended, "the end of the handler's context")
				sfCheck(t, sfShutdown(t, context.Background(), s))
			})
		}
	}
}

// The client goes while Shutdown waits.
func TestShutdownEndsWhenTheClientGoes(t *testing.T) {
	g := newSfGate(t)
	s, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{"wait": sfMethod(g.wait)}, nil))
	p := newSfPeer(t, sfDial(t, l))
	p.send(sfRequest(1, 0, "wait", nil))
	sfWait(t, g.entered, "the handler")
	idle := sfClient(t, sfDial(t, l))
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	sfCheck(t, idle.UserOnCloseWait(context.Background())) // Shutdown is at it
	sfCheck(t, p.Close())
	sfCheck(t, sfWait(t, done, "Shutdown"))
}

// (e) What comes while a connection drains is refused, in words for both who ask for a status and
// who ask for ErrClosed.
func TestCallWhileAConnectionDrains(t *testing.T) {
	g := newSfGate(t)
	s, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{"wait": sfMethod(g.wait)}, nil))
	c := sfClient(t, sfDial(t, l))
	held := sfGo(context.Background(), c, "wait", "")
	sfWait(t, g.entered, "the call")
	sfEqual(t, sfShutdown(t, sfEnded(), s), context.Canceled)
	wantRefused := func(err error) {
		t.Helper()
		sfWantIs(t, err, ttrpc.ErrClosed)
		st, ok := status.FromError(err)
		if !ok || st.Code() != codes.Unavailable || !strings.HasSuffix(st.Message(), "ttrpc: server closed") {
			t.Fatalf("got %v (%T), want Unavailable", err, err)
		}
	}
	_, err := sfCall(context.Background(), c, "echo", "")
	wantRefused(err)
	cs, err := c.NewStream(context.Background(), sfBoth, sfService, "any", nil)
	sfCheck(t, err)
	wantRefused(cs.RecvMsg(new(wrapperspb.StringValue)))
	wantRefused(cs.RecvMsg(new(wrapperspb.StringValue)))
	g.release()
	sfCheck(t, sfWait(t, held, "the call in flight"))
}

// A handler's own Unavailable is no end of the connection.
func TestUnavailableOfAHandler(t *testing.T) {
	_, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{"no": sfMethod(func(context.Context, string) (any, error) {
		return nil, status.Error(codes.Unavailable, "try again")
	})}, nil))
	c := sfClient(t, sfDial(t, l))
	_, err := sfCall(context.Background(), c, "no", "")
	sfWantStatus(t, err, codes.Unavailable, "try again")
	if errors.Is(err, ttrpc.ErrClosed) {
		t.Fatal("it is not closed")
	}
	sfWantEcho(t, c)
}

// (f) Close waits for nothing but messages that a stream's SendMsg has accepted: a call that is
// unwritten, for the server does not read, is cut at once. In the bubble no time goes by unless
// somebody waits for it.
func TestClientCloseBesideAServerThatDoesNotRead(t *testing.T) {
	for name, begin := range map[string]func(*ttrpc.Client) error{
		"call": func(c *ttrpc.Client) error {
			_, err := sfCall(context.Background(), c, "echo", "x")
			return err
		},
		"large call": func(c *ttrpc.Client) error {
			_, err := sfCall(context.Background(), c, "echo", strings.Repeat("x", 3<<20))
			return err
		},
		"stream": func(c *ttrpc.Client) error {
			cs, err := c.NewStream(context.Background(), sfBoth, sfService, "both", nil)
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
				sfCheck(t, c.Close())
				if err := <-done; !errors.Is(err, ttrpc.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
					t.Error("got", err)
				}
				sfEqual(t, time.Since(start), 0)
			})
		})
	}
}
