//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

func TestUnusedServer(t *testing.T) {
	for name, end := range map[string]func(s *ttrpc.Server) error{
		"Close": (*ttrpc.Server).Close, "Shutdown": func(s *ttrpc.Server) error { return s.Shutdown(bg) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ttrpc.NewServer()
			check(t, err)
			check(t, end(s))
			check(t, end(s))
			l := listen(t, "unix")
			wantExactly(t, s.Serve(bg, l), ttrpc.ErrServerClosed)
			_, err = l.Accept()
			wantIs(t, err, net.ErrClosed)
			check(t, s.Close())
			check(t, s.Shutdown(bg))
		})
	}
}

// A server has any number of listeners. One that closes ends its own Serve, and nothing else.
func TestServerWithListeners(t *testing.T) {
	r := serve(t)
	c := r.client()
	second := &rig{t: t, Server: r.Server, l: listen(t, "tcp"), served: make(chan error, 1)}
	go func() { second.served <- r.Serve(bg, second.l) }()
	other := second.client()
	wantEcho(t, other)
	check(t, second.l.Close())
	wantIs(t, wait(t, second.served, "the second Serve"), net.ErrClosed)
	wantEcho(t, other)
	wantEcho(t, c)
	wantEcho(t, r.client())
	check(t, r.Close())
	wantExactly(t, wait(t, r.served, "Serve"), ttrpc.ErrServerClosed)
	for _, c := range []*ttrpc.Client{c, other} {
		_, err := call(bg, c, "echo", "x")
		wantExactly(t, err, ttrpc.ErrClosed)
	}
}

func TestServeOfClosedListener(t *testing.T) {
	s, err := ttrpc.NewServer()
	check(t, err)
	l := listen(t, "unix")
	l.Close()
	wantIs(t, s.Serve(bg, l), net.ErrClosed)
	check(t, s.Shutdown(bg))
}

// Serve's context is the parent of the handlers' contexts. Its end does not end Serve.
func TestServeContext(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(bg, key{}, "value"))
	s, err := ttrpc.NewServer()
	check(t, err)
	s.RegisterService(svc, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"value": unary(func(ctx context.Context, _ string) (string, error) { return fmt.Sprint(ctx.Value(key{})), ctx.Err() }),
		"hold":  unary(hold), "echo": unary(echo),
	}, Streams: map[string]ttrpc.Stream{"mute": standard().Streams["mute"]}})
	r := &rig{t: t, Server: s, l: listen(t, "unix"), served: make(chan error, 1)}
	go func() { r.served <- s.Serve(ctx, r.l) }()
	c := r.client()
	out, err := call(bg, c, "value", "")
	check(t, err)
	equal(t, out, "value")
	held, cs := goCall(bg, c, "hold", ""), open(t, bg, c, both, "mute", nil)
	cancel()
	wantStatus(t, wait(t, held, "the call"), codes.Canceled, "context canceled")
	_, err = recvText(cs)
	wantStatus(t, err, codes.Canceled, "context canceled")
	wantEcho(t, c)
	wantEcho(t, r.client())
	check(t, s.Close())
	wantExactly(t, wait(t, r.served, "Serve"), ttrpc.ErrServerClosed)
}

// flakyListener fails to accept, some times.
type flakyListener struct {
	net.Listener
	errs chan error
}

func (l flakyListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

type acceptError struct{ temporary bool }

func (acceptError) Error() string     { return "no descriptors left" }
func (e acceptError) Temporary() bool { return e.temporary }

// A temporary error of Accept is logged and waited for, longer each time; another one ends Serve.
func TestServeWaitsForTemporaryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		l := flakyListener{listen(t, "pipe"), make(chan error, 20)}
		for range 10 {
			l.errs <- acceptError{temporary: true}
		}
		r := serve(t, net.Listener(l), ttrpc.WithServerLogger(log.logger()))
		r.l = l.Listener
		start := time.Now()
		c := r.client()
		equal(t, time.Since(start), 5*time.Millisecond*(1+2+4+8+16+32+64+128)+2*time.Second)
		equal(t, strings.Count(log.String(), "no descriptors left"), 10)
		wantEcho(t, c)
		synctest.Wait() // until Serve is in Accept again
		l.errs <- acceptError{temporary: false}
		wantEcho(t, r.client()) // the Accept that waits already
		wantExactly(t, <-r.served, acceptError{temporary: false})
		wantEcho(t, c)
	})
}

func TestCloseWhileServeWaitsForTemporaryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := flakyListener{listen(t, "pipe"), make(chan error, 20)}
		for range 20 {
			l.errs <- acceptError{temporary: true}
		}
		r := serve(t, net.Listener(l))
		elapse(1600 * time.Millisecond)
		start := time.Now()
		check(t, r.Close())
		wantExactly(t, <-r.served, ttrpc.ErrServerClosed)
		equal(t, time.Since(start), 0)
	})
}

func TestRecoveryMakesAPanicTheCallsError(t *testing.T) {
	oh := errors.New("oh")
	panics := func(context.Context, string) (string, error) { panic(oh) }
	var log trace
	c := serve(t,
		ttrpc.WithRecovery(func(ctx context.Context, method string, value any, stack []byte) error {
			if ctx.Err() != nil || value != any(oh) || !strings.Contains(string(stack), "TestRecoveryMakesAPanicTheCallsError") {
				t.Errorf("recovers %v, %v, %s", ctx.Err(), value, stack)
			}
			log.add(method)
			return status.Error(codes.Internal, "mended")
		}),
		ttrpc.WithUnaryServerInterceptor(func(
			ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method,
		) (any, error) {
			if strings.HasSuffix(info.FullMethod, "fail") {
				panic(oh)
			}
			return m(ctx, u)
		}),
		withMethod("panics", unary(panics)),
		withStream("panicsToo", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
			check(t, ss.SendMsg(text("a")))
			_, err := panics(ctx, "")
			return err
		}))).client()
	_, err := call(bg, c, "panics", "")
	wantStatus(t, err, codes.Internal, "mended")
	_, err = call(bg, c, "fail", "")
	wantStatus(t, err, codes.Internal, "mended")
	cs := open(t, bg, c, both, "panicsToo", nil)
	wantNext(t, cs, "a")
	_, err = recvText(cs)
	wantStatus(t, err, codes.Internal, "mended")
	wantEcho(t, c)
	equal(t, log.take(), "/test.Service/panics /test.Service/fail /test.Service/panicsToo")
}

// Recovery that finds nothing to answer makes it an error all the same.
func TestRecoveryWithoutError(t *testing.T) {
	c := serve(t, ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return nil }),
		withMethod("panics", unary(func(context.Context, string) (string, error) { panic("oh") }))).client()
	_, err := call(bg, c, "panics", "")
	if status.Code(err) == codes.OK {
		t.Error("a call that has panicked is a success")
	}
	wantEcho(t, c)
}

// runtime.Goexit in a handler answers its call, also where the handler runs in the reader's
// goroutine.
func TestGoexitInHandler(t *testing.T) {
	recovers := func(context.Context, string, any, []byte) error { return errors.New("recovered") }
	for _, opts := range [][]any{nil, {ttrpc.WithRecovery(recovers)}} {
		r := serve(t, append(opts,
			withMethod("exits", unary(func(_ context.Context, in string) (string, error) {
				if in == "exit" {
					runtime.Goexit()
				}
				return in, nil
			})),
			withStream("exitsToo", bidi(func(context.Context, ttrpc.StreamServer) error { runtime.Goexit(); return nil })))...)
		c := r.client()
		for range 5 {
			for range 100 {
				out, err := call(bg, c, "exits", "x")
				check(t, err)
				equal(t, out, "x")
			}
			_, err := call(bg, c, "exits", "exit")
			wantStatus(t, err, codes.Unknown, "ttrpc: handler exited without returning")
			_, err = recvText(open(t, bg, c, both, "exitsToo", nil))
			wantStatus(t, err, codes.Unknown, "ttrpc: handler exited without returning")
		}
		wantEcho(t, c)
		check(t, r.Shutdown(bg))
	}
}

const panicVariable = "TTRPC_TEST_PANIC" // the address to serve on, in the process that panics

// A panic ends the process, as in any goroutine, unless the server has a recovery. Its clients see
// their connection close, by which users know that a process is gone, and no answer.
func TestPanicEndsTheProcess(t *testing.T) {
	panics := func() error { panic("oh, no") }
	if addr := os.Getenv(panicVariable); addr != "" {
		l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
		conn, err := net.Dial("unix", addr)
		check(t, err)
		l.conns <- conn
		r := serve(t, l, withMethod("panics", unary(func(context.Context, string) (string, error) { return "", panics() })),
			withStream("panicsToo", bidi(func(context.Context, ttrpc.StreamServer) error { return panics() })))
		check(t, <-r.served) // it does not come to that
		return
	}
	self, err := os.Executable()
	check(t, err)
	for method, visit := range map[string]func(*ttrpc.Client) error{
		"panics":    func(c *ttrpc.Client) error { _, err := call(bg, c, "panics", ""); return err },
		"panicsToo": func(c *ttrpc.Client) error { _, err := recvText(open(t, bg, c, both, "panicsToo", nil)); return err },
	} {
		l := listen(t, "unix")
		var out strings.Builder
		cmd := exec.Command(self, "-test.run=^TestPanicEndsTheProcess$")
		cmd.Env = append(os.Environ(), panicVariable+"="+l.Addr().String())
		cmd.Stdout, cmd.Stderr = &out, &out
		check(t, cmd.Start())
		conn, err := l.Accept()
		check(t, err)
		c := ttrpc.NewClient(conn)
		wantExactly(t, visit(c), ttrpc.ErrClosed)
		check(t, c.Close())
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || !strings.Contains(out.String(), "panic: oh, no") {
			t.Errorf("%s: %v: %s", method, err, out.String())
		}
	}
}

// A handler may call its own server, also to end it.
func TestHandlerEndsItsServer(t *testing.T) {
	var r *rig
	r = serve(t, withMethod("close", unary(func(context.Context, string) (string, error) { return "", r.Close() })),
		withMethod("shutdown", unary(func(ctx context.Context, _ string) (string, error) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			// Its own call is not waited for.
			return "", status.Error(codes.Aborted, fmt.Sprint(r.Shutdown(ctx)))
		})),
		withMethod("call", unary(func(_ context.Context, in string) (string, error) { return call(bg, r.client(), "echo", in) })))
	c := r.client()
	out, err := call(bg, c, "call", "x")
	check(t, err)
	equal(t, out, "x")
	_, err = call(bg, c, "shutdown", "")
	wantStatus(t, err, codes.Aborted, "<nil>")
	check(t, c.UserOnCloseWait(bg))
	check(t, r.Shutdown(bg))

	r = serve(t, withMethod("close", unary(func(context.Context, string) (string, error) { return "", r.Close() })))
	_, err = call(bg, r.client(), "close", "")
	wantExactly(t, err, ttrpc.ErrClosed)
	check(t, r.Shutdown(bg))
}

// Connections come and go while calls are made on them and the server ends, one way or the other.
func TestServeShutdownCloseFromManyGoroutines(t *testing.T) {
	for i := range 30 {
		r := serve(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				conn, err := net.Dial("unix", r.l.Addr().String())
				if err != nil {
					return
				}
				c := ttrpc.NewClient(conn)
				defer c.Close()
				for range i {
					if out, err := call(bg, c, "echo", "x"); err == nil && out != "x" {
						t.Error("got", out)
					}
				}
			})
			wg.Go(func() {
				if err := r.Shutdown(bg); err != nil {
					t.Error("Shutdown:", err)
				}
			})
		}
		if i%3 == 0 {
			wg.Go(func() { r.Close() })
		}
		wg.Wait()
		wantExactly(t, wait(t, r.served, "Serve"), ttrpc.ErrServerClosed)
	}
}

// Metadata keys that arrive in capitals, deadlines that have passed: what a handler's context says.
func TestHandlersContext(t *testing.T) {
	contexts := make(chan context.Context, 1)
	release := make(chan struct{})
	c := serve(t, withMethod("give", unary(func(ctx context.Context, _ string) (string, error) {
		contexts <- ctx
		<-release
		return "", nil
	}))).client()
	ctx, cancel := context.WithTimeout(bg, time.Hour)
	defer cancel()
	result := goCall(ctx, c, "give", "")
	got := wait(t, contexts, "the handler")
	select {
	case <-got.Done():
		t.Error("it has ended")
	default:
	}
	check(t, got.Err())
	child, cancelChild := context.WithCancel(got)
	defer cancelChild()
	called := make(chan struct{})
	stop := context.AfterFunc(got, func() { close(called) })
	unwanted := context.AfterFunc(got, func() { t.Error("it was called though stopped") })
	equal(t, unwanted(), true)
	close(release)
	check(t, wait(t, result, "the call"))
	wait(t, got.Done(), "the context's end, which comes with the method's")
	wait(t, child.Done(), "that of its child")
	wait(t, called, "the function after it")
	equal(t, stop(), false)
	wantExactly(t, got.Err(), context.Canceled)
	wantExactly(t, child.Err(), context.Canceled)
}
