//go:build go1.25

package ttrpctest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/ttrpctest"
)

// The errors are those of sockets, for who looks at their types.
func TestConnErrors(t *testing.T) {
	a, b := ttrpctest.Pair()
	buf := make([]byte, 1)
	check(t, a.SetReadDeadline(time.Unix(1, 0)))
	_, err := a.Read(buf)
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "read" || !op.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%#v", err)
	}
	if want := "read ttrpctest client->server: i/o timeout"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	check(t, b.CloseWrite())
	check(t, a.SetDeadline(time.Time{}))
	if _, err = a.Read(buf); err != io.EOF {
		t.Errorf("%#v", err)
	}
	_, err = b.Write(buf)
	wantIs(t, err, syscall.EPIPE)
	check(t, a.Close())
	for _, err := range []error{
		a.Close(), a.CloseWrite(), a.SetDeadline(time.Now()), a.SetReadDeadline(time.Now()), a.SetWriteDeadline(time.Now()),
	} {
		wantIs(t, err, net.ErrClosed)
	}
	if _, err = b.Read(buf); err != io.EOF {
		t.Errorf("%#v", err)
	}
	if a.Peer() != b || b.Peer() != a || !a.Closed() || b.Closed() {
		t.Error("the ends do not know each other")
	}
}

// Close and deadlines wake those who read and write.
func TestConnWakes(t *testing.T) {
	for name, wake := range map[string]func(*ttrpctest.Conn) error{
		"close": (*ttrpctest.Conn).Close,
		"past":  func(c *ttrpctest.Conn) error { return c.SetDeadline(time.Unix(1, 0)) },
		"later": func(c *ttrpctest.Conn) error { return c.SetDeadline(time.Now().Add(time.Hour)) },
		"moved": func(c *ttrpctest.Conn) error {
			return errors.Join(c.SetDeadline(time.Now().Add(time.Hour)), c.SetDeadline(time.Now().Add(2*time.Hour)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := ttrpctest.Pair()
				defer b.Close()
				a.SetBuffer(10)
				var both sync.WaitGroup
				began := time.Now()
				both.Go(func() {
					if n, err := a.Read(make([]byte, 1)); n != 0 || err == nil {
						t.Error("read:", n, err)
					}
				})
				both.Go(func() {
					if n, err := a.Write(make([]byte, 11)); n != 10 || err == nil {
						t.Error("write:", n, err)
					}
				})
				synctest.Wait()
				check(t, wake(a))
				both.Wait()
				if d := time.Since(began); d != map[string]time.Duration{"later": time.Hour, "moved": 2 * time.Hour}[name] {
					t.Error("woken after", d)
				}
			})
		})
	}
}

// The bytes of one Write stay together, whatever else is written.
func TestConnWritesDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := ttrpctest.Pair()
		a.SetBuffer(7)
		b.SetMaxRead(5)
		const size, writers = 100, 8
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				if n, err := a.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); n != size || err != nil {
					t.Error(n, err)
				}
			})
		}
		synctest.Wait() // all of them are in Write
		go func() { all.Wait(); a.Close() }()
		got, err := io.ReadAll(b)
		check(t, err)
		for len(got) >= size {
			if strings.Trim(string(got[:size]), string(got[:1])) != "" {
				t.Fatalf("mixed: %q", got[:size])
			}
			got = got[size:]
		}
		if len(got) > 0 {
			t.Errorf("%d bytes more", len(got))
		}
	})
}

// faults are set between calls, and each shows in what the next call returns.
func TestFaults(t *testing.T) {
	short := errors.New("short")
	for name, test := range map[string]struct {
		fault func(client, server *ttrpctest.Conn)
		want  error // of the next call, which has a minute
		cause error // Client.Err's
		took  time.Duration
	}{
		"none":             {func(_, _ *ttrpctest.Conn) {}, nil, nil, 0},
		"short reads":      {func(c, s *ttrpctest.Conn) { c.SetMaxRead(1); s.SetMaxRead(3) }, nil, nil, 0},
		"small buffers":    {func(c, s *ttrpctest.Conn) { c.SetBuffer(1); s.SetBuffer(3) }, nil, nil, 0},
		"delays":           {func(c, s *ttrpctest.Conn) { c.SetDelay(time.Second); s.SetDelay(4 * time.Second) }, nil, nil, 5 * time.Second},
		"delay taken back": {func(c, _ *ttrpctest.Conn) { c.SetDelay(time.Second); c.SetDelay(0) }, nil, nil, 0},
		"stall":            {func(c, _ *ttrpctest.Conn) { c.Stall() }, context.DeadlineExceeded, nil, time.Minute},
		"stall of answers": {func(_, s *ttrpctest.Conn) { s.StallAfter(12) }, context.DeadlineExceeded, nil, time.Minute},
		"stall for a while": {func(c, _ *ttrpctest.Conn) {
			c.StallAfter(3)
			time.AfterFunc(7*time.Second, c.Resume)
		}, nil, nil, 7 * time.Second},
		"cut now":           {func(c, _ *ttrpctest.Conn) { c.CutAfter(0) }, ttrpc.ErrClosed, io.EOF, 0},
		"cut in a request":  {func(c, _ *ttrpctest.Conn) { c.CutAfter(15) }, ttrpc.ErrClosed, io.EOF, 0},
		"cut in an answer":  {func(_, s *ttrpctest.Conn) { s.CutAfter(11) }, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, 0},
		"reset in a header": {func(c, _ *ttrpctest.Conn) { c.ResetAfter(5) }, ttrpc.ErrClosed, syscall.ECONNRESET, 0},
		"failing write":     {func(c, _ *ttrpctest.Conn) { c.FailWriteAfter(5, short) }, short, short, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := ttrpctest.NewServer(t, register(nil)).Dial()
				c := ttrpc.NewClient(conn)
				wantEcho(t, c)
				test.fault(conn, conn.Peer())
				ctx, cancel := context.WithTimeout(bg, time.Minute)
				defer cancel()
				began := time.Now()
				_, err := call(ctx, c, "echo", "and again")
				took := time.Since(began)
				if !errors.Is(err, test.want) || !errors.Is(c.Err(), test.cause) {
					t.Errorf("call: %v, connection: %v", err, c.Err())
				}
				if took != test.took {
					t.Errorf("it took %v, want %v", took, test.took)
				}
				check(t, c.Close())
			})
		})
	}
}

// Faults can be set before the server has seen a byte, and a stall holds the end back as well.
func TestFaultsFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ttrpctest.NewServer(t, register(nil))
		conn := s.Dial(func(c *ttrpctest.Conn) { c.Stall(); c.Peer().SetMaxRead(1) })
		_, err := io.WriteString(conn, "no ttrpc, which the server would hang up on")
		check(t, err)
		check(t, conn.CloseWrite())
		synctest.Wait()
		if len(s.Conns()) != 1 {
			t.Error("the server has closed the connection")
		}
		conn.Resume()
		_, err = io.ReadAll(conn)
		check(t, err)
		if len(s.Conns()) != 0 {
			t.Error("the server has not closed the connection")
		}
	})
}

func TestListener(t *testing.T) {
	l := ttrpctest.Listen()
	a, err := l.Dial() // nobody accepts yet
	check(t, err)
	_, err = io.WriteString(a, "first")
	check(t, err)
	conn, err := l.Accept()
	check(t, err)
	buf := make([]byte, 10)
	if n, err := conn.Read(buf); string(buf[:n]) != "first" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if got := fmt.Sprintln(conn.LocalAddr(), conn.RemoteAddr(), l.Addr(), l.Addr().Network()); got != "server client 1 server ttrpctest\n" {
		t.Error(got)
	}
	b, err := l.Dial()
	check(t, err)
	if got := l.Conns(); len(got) != 2 || got[0] != a || got[1] != b {
		t.Error(got)
	}
	check(t, l.Close())
	if _, err := b.Read(buf); !errors.Is(err, syscall.ECONNRESET) {
		t.Error("a connection that nobody has accepted:", err)
	}
	_, err = io.WriteString(conn, "goes on")
	check(t, err)
	_, err = l.Accept()
	wantIs(t, err, net.ErrClosed)
	wantIs(t, l.Close(), net.ErrClosed)
	_, err = l.Dial()
	wantIs(t, err, syscall.ECONNREFUSED)
	_, err = l.DialContext(bg)
	wantIs(t, err, syscall.ECONNREFUSED)
	check(t, conn.Close())
	if got := l.Conns(); len(got) != 1 || got[0] != b {
		t.Error(got)
	}
}

// All that one may do at once, at once.
func TestConnAtOnce(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	s := ttrpctest.NewServer(t, register(nil))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			conn, err := s.DialContext(bg)
			if err != nil {
				t.Error(err)
				return
			}
			c := ttrpc.NewClient(conn)
			defer c.Close()
			for j := range 50 {
				if _, err := call(bg, c, "echo", "x"); err != nil && !errors.Is(err, ttrpc.ErrClosed) {
					t.Error(err)
				}
				for _, other := range s.Conns() {
					other.SetMaxRead(j)
					other.Peer().SetBuffer(j)
					other.Peer().SetDelay(time.Duration(j))
				}
			}
			if i%2 == 0 {
				conn.(*ttrpctest.Conn).CutAfter(0)
			}
		})
	}
	all.Wait()
}
