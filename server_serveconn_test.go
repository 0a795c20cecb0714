//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// standardServer is a server of the standard service, on no listener.
func standardServer(t testing.TB, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	t.Helper()
	s, err := ttrpc.NewServer(opts...)
	check(t, err)
	s.RegisterService(svc, standard())
	t.Cleanup(func() { s.Close() })
	return s
}

// serveConn has a server serve a connection, and returns where the result will be.
func serveConn(s *ttrpc.Server, conn net.Conn) <-chan error {
	result := make(chan error, 1)
	go func() { result <- s.ServeConn(bg, conn) }()
	return result
}

// connFor has a server serve one end of a new pipe, and returns the other one.
func connFor(t testing.TB, s *ttrpc.Server) (*pipe.Conn, <-chan error) {
	t.Helper()
	near, far := pipe.New(pipe.Options{}, pipe.Options{})
	t.Cleanup(func() { near.Close() })
	return near, serveConn(s, far)
}

func resetPipe(_ *ttrpc.Server, conn *pipe.Conn) { conn.Break(pipe.Fault{Kind: pipe.Reset}) }

// wantResult tells the results that callers compare from those that say what has failed.
func wantResult(t *testing.T, got error, want ...error) {
	t.Helper()
	if len(want) == 1 && (want[0] == nil || want[0] == ttrpc.ErrServerClosed) {
		wantExactly(t, got, want[0])
		return
	}
	wantIs(t, got, want...)
	if !strings.HasPrefix(got.Error(), "ttrpc: ") || !strings.Contains(got.Error(), "with pipe failed: ") {
		t.Errorf("%q does not say what has failed, and with whom", got)
	}
}

func TestServeConnReturnsHowTheConnectionEnded(t *testing.T) {
	half := request(1, "echo", "half of it").bytes()
	for name, test := range map[string]struct {
		end  func(*testing.T, *ttrpc.Server, *pipe.Conn)
		want error
	}{
		"closed by the client": {func(t *testing.T, _ *ttrpc.Server, conn *pipe.Conn) { check(t, conn.Close()) }, nil},
		"half closed":          {func(t *testing.T, _ *ttrpc.Server, conn *pipe.Conn) { check(t, conn.CloseWrite()) }, nil},
		"reset":                {func(_ *testing.T, _ *ttrpc.Server, conn *pipe.Conn) { conn.Break(pipe.Fault{Kind: pipe.Reset}) }, nil},
		"cut in a frame": {func(t *testing.T, _ *ttrpc.Server, conn *pipe.Conn) {
			_, err := conn.Write(half[:len(half)/2])
			check(t, err)
			check(t, conn.Close())
		}, io.ErrUnexpectedEOF},
		"another protocol": {func(t *testing.T, _ *ttrpc.Server, conn *pipe.Conn) {
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
			check(t, err)
		}, ttrpc.ErrProtocol},
		"server closed":    {func(t *testing.T, s *ttrpc.Server, _ *pipe.Conn) { check(t, s.Close()) }, ttrpc.ErrServerClosed},
		"server shut down": {func(t *testing.T, s *ttrpc.Server, _ *pipe.Conn) { check(t, s.Shutdown(bg)) }, ttrpc.ErrServerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := standardServer(t)
				conn, result := connFor(t, s)
				synctest.Wait()
				select {
				case err := <-result:
					t.Fatal("it has returned before the end:", err)
				default:
				}
				test.end(t, s, conn)
				wantResult(t, <-result, test.want)
				if test.want == nil || test.want == ttrpc.ErrServerClosed {
					_, err := conn.Write([]byte("x"))
					if err == nil {
						t.Error("the connection is open")
					}
				}
			})
		})
	}
}

// Shutdown waits for the calls of such a connection, and ServeConn returns with the last answer.
func TestServeConnIsShutDownAsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		r := onPipe(t, withMethod("gated", g.unary()))
		conn, result := connFor(t, r.Server)
		c := ttrpc.NewClient(conn)
		defer c.Close()
		answer := goCall(bg, c, "gated", "x")
		<-g.started
		shut := make(chan error, 1)
		go func() { shut <- r.Shutdown(bg) }()
		synctest.Wait()
		wantExactly(t, <-r.served, ttrpc.ErrServerClosed)
		if len(shut)+len(result) > 0 {
			t.Error("somebody has not waited for the call")
		}
		g.open()
		check(t, <-answer)
		check(t, <-shut)
		wantExactly(t, <-result, ttrpc.ErrServerClosed)
	})
}

// The end of one connection ends nothing else.
func TestServeConnClosesNoListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t)
		conn, result := connFor(t, r.Server)
		other, otherResult := connFor(t, r.Server)
		c := ttrpc.NewClient(conn)
		wantEcho(t, c)
		check(t, c.Close())
		check(t, <-result)
		wantEcho(t, pipeClient(t, r))
		c = ttrpc.NewClient(other)
		wantEcho(t, c)
		check(t, r.Close())
		wantExactly(t, <-otherResult, ttrpc.ErrServerClosed)
		check(t, c.Close())
	})
}

func TestServeConnOfAClosedServer(t *testing.T) {
	for name, opts := range map[string][]ttrpc.ServerOpt{"": nil, "with a bound": {ttrpc.WithServerMaxConns(1)}} {
		s := standardServer(t, opts...)
		check(t, s.Close())
		for range 10 { // where there is a slot as well, either may be noticed first
			near, far := pipe.New(pipe.Options{}, pipe.Options{})
			wantExactly(t, s.ServeConn(bg, far), ttrpc.ErrServerClosed)
			if _, err := near.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: the connection is open: %v", name, err)
			}
		}
	}
}

func TestServeConnHandshake(t *testing.T) {
	refused := errors.New("not you")
	refuse := handshakeFunc(func(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, refused })
	read := handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
		_, err := conn.Read(make([]byte, 1))
		return conn, nil, err
	})
	nothing := func(*ttrpc.Server, *pipe.Conn) {}
	one := []byte("x")
	for name, test := range map[string]struct {
		handshake handshakeFunc
		then      func(*ttrpc.Server, *pipe.Conn)
		want      error
	}{
		"refused":                 {refuse, nothing, refused},
		"too slow":                {read, nothing, os.ErrDeadlineExceeded},
		"closed by the client":    {read, func(_ *ttrpc.Server, conn *pipe.Conn) { conn.Close() }, io.EOF},
		"reset":                   {read, resetPipe, syscall.ECONNRESET},
		"server shut down":        {read, func(s *ttrpc.Server, _ *pipe.Conn) { s.Shutdown(bg) }, ttrpc.ErrServerClosed},
		"server closed":           {read, func(s *ttrpc.Server, _ *pipe.Conn) { s.Close() }, ttrpc.ErrServerClosed},
		"closed after a byte":     {read, func(_ *ttrpc.Server, conn *pipe.Conn) { conn.Write(one); conn.Close() }, nil},
		"shut down after a byte":  {read, func(s *ttrpc.Server, conn *pipe.Conn) { conn.Write(one); s.Shutdown(bg) }, ttrpc.ErrServerClosed},
		"handshake that does all": {read, func(_ *ttrpc.Server, conn *pipe.Conn) { conn.Write(one); echoOnce(conn) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := standardServer(t, ttrpc.WithServerHandshaker(test.handshake))
				conn, result := connFor(t, s)
				synctest.Wait()
				test.then(s, conn)
				err := <-result
				wantResult(t, err, test.want)
				if test.want != nil && test.want != ttrpc.ErrServerClosed && !strings.Contains(err.Error(), "handshake") {
					t.Error(err)
				}
			})
		})
	}
}

// echoOnce makes a call and closes the connection.
func echoOnce(conn net.Conn) {
	c := ttrpc.NewClient(conn)
	defer c.Close()
	_, _ = call(bg, c, "echo", "x")
}

// stuckConn is a connection whose Read waits for bytes even when it has been closed: a process's
// standard input is one.
type stuckConn struct {
	net.Conn
	release chan struct{} // ends Read
}

func (c stuckConn) Read([]byte) (int, error) { <-c.release; return 0, io.EOF }

// Nobody waits for a Read that does not end.
func TestServeConnOfAConnWhoseReadIsStuck(t *testing.T) {
	read := handshakeFunc(func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
		_, err := conn.Read(make([]byte, 1))
		return conn, nil, err
	})
	for name, opts := range map[string][]ttrpc.ServerOpt{
		"in a handshake": {ttrpc.WithServerHandshaker(read), ttrpc.WithServerHandshakeTimeout(0)}, "open": nil,
	} {
		t.Run(name, func(t *testing.T) {
			for _, end := range []func(*ttrpc.Server) error{(*ttrpc.Server).Close, func(s *ttrpc.Server) error { return s.Shutdown(bg) }} {
				synctest.Test(t, func(t *testing.T) {
					s := standardServer(t, opts...)
					near, far := pipe.New(pipe.Options{}, pipe.Options{})
					stuck := stuckConn{far, make(chan struct{})}
					result := serveConn(s, stuck)
					synctest.Wait()
					check(t, end(s))
					wantExactly(t, <-result, ttrpc.ErrServerClosed)
					equal(t, far.Closed(), true)
					close(stuck.release)
					near.Close()
				})
			}
		})
	}
}

// A connection whose Close takes for ever counts as closed after a while.
func TestServeConnOfAConnWhoseCloseIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := standardServer(t)
		near, far := pipe.New(pipe.Options{}, pipe.Options{})
		release := make(chan struct{})
		result := serveConn(s, &closeHookConn{Conn: far, hook: func() { <-release }})
		wantEcho(t, ttrpc.NewClient(near))
		check(t, near.Close())
		check(t, <-result)
		equal(t, far.Closed(), false)
		close(release) // it is told a second time then
		check(t, s.Shutdown(bg))
	})
}

// closeHookConn calls hook before it is closed.
type closeHookConn struct {
	net.Conn
	hook func()
}

func (c *closeHookConn) Close() error { c.hook(); return c.Conn.Close() }

// Handlers that do not look at their context may outlive the connection, and ServeConn does not
// wait for them.
func TestServeConnDoesNotWaitForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		r := onPipe(t, withMethod("gated", g.unary()))
		conn, result := connFor(t, r.Server)
		c := ttrpc.NewClient(conn)
		answer := goCall(bg, c, "gated", "x")
		<-g.started
		check(t, c.Close())
		check(t, <-result)
		wantExactly(t, <-answer, ttrpc.ErrClosed)
		g.open()
	})
}

func TestServeConnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := standardServer(t)
		near, far := pipe.New(pipe.Options{}, pipe.Options{})
		ctx, cancel := context.WithCancel(bg)
		result := make(chan error, 1)
		go func() { result <- s.ServeConn(ctx, far) }()
		c := ttrpc.NewClient(near)
		held := goCall(bg, c, "hold", "")
		synctest.Wait()
		cancel()
		if err := <-held; err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Error(err)
		}
		wantEcho(t, c) // the connection goes on
		check(t, c.Close())
		check(t, <-result)
	})
}

// The bound on connections holds for all alike.
func TestServeConnWaitsForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, ttrpc.WithServerMaxConns(1))
		first := pipeClient(t, r)
		wantEcho(t, first)
		conn, result := connFor(t, r.Server)
		c := ttrpc.NewClient(conn)
		answer := goCall(bg, c, "echo", "x")
		synctest.Wait()
		if len(answer) > 0 {
			t.Error("two connections are served")
		}
		check(t, first.Close())
		check(t, <-answer)
		third, thirdResult := connFor(t, r.Server)
		synctest.Wait()
		check(t, r.Shutdown(bg))
		wantExactly(t, <-result, ttrpc.ErrServerClosed)
		wantExactly(t, <-thirdResult, ttrpc.ErrServerClosed)
		_, err := third.Read(make([]byte, 1))
		wantExactly(t, err, io.EOF)
		check(t, c.Close())
	})
}

// Each kind of connection works, also one that buffers nothing.
func TestServeConnTransports(t *testing.T) {
	for _, kind := range []network{"unix", "tcp", "pipe"} {
		t.Run(string(kind), func(t *testing.T) {
			near, far := pair(t, kind)
			result := serveConn(standardServer(t), far)
			c := ttrpc.NewClient(near)
			wantEcho(t, c)
			wantTexts(t, open(t, bg, c, down, "list", text("3")), "0", "1", "2")
			check(t, c.Close())
			check(t, wait(t, result, "ServeConn"))
		})
	}
}

// Connections come and end while the server is shut down or closed: each ServeConn returns, and
// each connection is closed.
func TestServeConnRaces(t *testing.T) {
	for round := range 30 {
		synctest.Test(t, func(t *testing.T) { serveConnRace(t, round) })
	}
}

func serveConnRace(t *testing.T, round int) {
	s := standardServer(t)
	if round%3 == 0 {
		s = standardServer(t, ttrpc.WithServerMaxConns(3))
	}
	var conns sync.WaitGroup
	for i := range 12 {
		conns.Go(func() {
			near, far := pipe.New(pipe.Options{}, pipe.Options{})
			result := serveConn(s, far)
			c := ttrpc.NewClient(near)
			_, err := call(bg, c, "echo", "x")
			if i%3 == 0 {
				c.Close()
			}
			served := wait(t, result, "ServeConn")
			if served != nil && served != ttrpc.ErrServerClosed || served == nil && err != nil && i%3 != 0 {
				t.Errorf("call: %v, ServeConn: %v", err, served)
			}
			c.Close()
			if !far.Closed() {
				t.Error("the connection is open")
			}
		})
	}
	conns.Go(func() {
		if round%2 == 0 {
			s.Close()
		} else if err := s.Shutdown(bg); err != nil {
			t.Error(err)
		}
	})
	conns.Wait()
}

// stdioConn is a process's input and output, as the two ends of pipes.
type stdioConn struct {
	io.ReadCloser
	out io.WriteCloser
}

func (c stdioConn) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c stdioConn) Close() error                     { return errors.Join(c.out.Close(), c.ReadCloser.Close()) }
func (c stdioConn) LocalAddr() net.Addr              { return nil }
func (c stdioConn) RemoteAddr() net.Addr             { return nil }
func (c stdioConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c stdioConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c stdioConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// A process serves on its standard input and output, and ends when its client has gone, or when it
// is told to shut down, though the read of its input does not end then.
func TestServeConnOnStdio(t *testing.T) {
	if child() != "" {
		s, err := ttrpc.NewServer()
		check(t, err)
		desc := standard()
		desc.Methods["stop"] = unary(func(context.Context, string) (string, error) {
			go s.Shutdown(bg)
			return "", nil
		})
		s.RegisterService(svc, desc)
		err = s.ServeConn(bg, stdioConn{os.Stdin, os.Stdout})
		fmt.Fprintln(os.Stderr, "served:", err)
		os.Exit(0)
	}
	for last, want := range map[string]string{"echo": "served: <nil>\n", "stop": "served: ttrpc: server closed\n"} {
		self, err := os.Executable()
		check(t, err)
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestServeConnOnStdio$")
		cmd.Env = append(os.Environ(), childVariable+"=stdio")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		in, err := cmd.StdinPipe()
		check(t, err)
		out, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		c := ttrpc.NewClient(stdioConn{out, in})
		wantEcho(t, c)
		_, err = call(bg, c, last, "")
		check(t, err)
		if last == "echo" {
			check(t, c.Close())
		}
		if err := cmd.Wait(); err != nil || stderr.String() != want {
			t.Errorf("%s: %v, %q", last, err, stderr.String())
		}
		c.Close()
	}
}
