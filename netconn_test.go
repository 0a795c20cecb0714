//go:build go1.25 && unix

package ttrpc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// socketPair returns the ends of a socketpair of any kind.
func socketPair(t testing.TB, kind int) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("this system has no such sockets")
	}
	check(t, err)
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f)
		check(t, err)
		check(t, f.Close())
		conns[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return conns[0], conns[1]
}

// These are conns of users around a *net.UnixConn: all have SyscallConn, which says nothing of what
// they do.
type (
	embedding struct{ *net.UnixConn }
	noRaw     struct{ *net.UnixConn }
)

func (noRaw) SyscallConn() (syscall.RawConn, error) { return nil, errors.New("not now") }

// largest fits into a message of a socket with the usual send buffer.
const largest = 100_000

// A conn that keeps messages is known by its descriptor, whatever the conn is made of: frames
// arrive whole at any size, in both directions, beside each other.
func TestConnsThatKeepMessages(t *testing.T) {
	kinds := map[string]int{"seqpacket": unix.SOCK_SEQPACKET, "stream": unix.SOCK_STREAM}
	wraps := map[string]func(*net.UnixConn) net.Conn{
		"bare":        func(c *net.UnixConn) net.Conn { return c },
		"embedding":   func(c *net.UnixConn) net.Conn { return embedding{c} },
		"pointer":     func(c *net.UnixConn) net.Conn { return &embedding{c} },
		"no raw conn": func(c *net.UnixConn) net.Conn { return noRaw{c} },
	}
	for kind, number := range kinds {
		for wrap, f := range wraps {
			t.Run(kind+" "+wrap, func(t *testing.T) {
				near, far := socketPair(t, number)
				serveOn(t, newConnListener(f(far)), serviceOf(nil, nil))
				echoSizes(t, newClient(t, f(near)))
			})
		}
	}
}

// echoSizes calls with payloads of many sizes, four at once.
func echoSizes(t *testing.T, c *ttrpc.Client) {
	t.Helper()
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for _, size := range []int{0, 1, 4000, 4096, 8182, 8999, 9000, 9001, 12_000, 32_768, 65_536, largest} {
				in := pattern(size, caller)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				out, err := call(ctx, c, "echo", in)
				cancel()
				if err != nil || out != in {
					t.Errorf("%d bytes: %d bytes, %v, the same: %v", size, len(out), err, out == in)
					return
				}
			}
		})
	}
	callers.Wait()
}

// pattern is a text in which a splice shows.
func pattern(size, seed int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%d:%d ", seed, i)
	}
	return b.String()[:size]
}

// The pieces are those of the releases, which is where a peer of theirs expects them: up to 4096
// bytes, then the rest.
func TestPiecesOfPackets(t *testing.T) {
	near, far := socketPair(t, unix.SOCK_SEQPACKET)
	serveOn(t, newConnListener(embedding{far}), serviceOf(nil, nil))
	p, out := newRawPeer(t, near), bufio.NewWriter(near)
	p.in = bufio.NewReader(near) // a packet is read at once, or what is left of it is lost
	for i, size := range []int{0, 4000, 4096, 8999, 9000, 50_000, largest} {
		in := text(pattern(size, i))
		b := requestWith(uint32(2*i+1), 0, "echo", in).bytes()
		_, err := out.Write(b[:10])
		check(t, err)
		_, err = out.Write(b[10:])
		check(t, err)
		check(t, out.Flush())
		f, resp := p.recv(), new(ttrpc.Response)
		check(t, proto.Unmarshal(f.data, resp))
		if resp.Status != nil || string(resp.Payload) != string(encode(in)) {
			t.Fatalf("%d bytes: %v and %d bytes", size, resp.Status, len(resp.Payload))
		}
	}
}

// short is a conn of which one Write, the at-th from 0, returns less than it was given, and no
// error: n says how much of it, and what it returns.
type short struct {
	net.Conn
	writes atomic.Int32
	at     int32
	n      func(length int) (written, returned int)
}

func (c *short) Write(b []byte) (int, error) {
	if c.writes.Add(1)-1 != c.at {
		return c.Conn.Write(b)
	}
	written, returned := c.n(len(b))
	if written > 0 {
		if _, err := c.Conn.Write(b[:written]); err != nil {
			return 0, err
		}
	}
	return returned, nil
}

// shortRaw is one that looks like a stream of bytes.
type shortRaw struct{ *short }

func (c shortRaw) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

var shortWrites = map[string]func(length int) (int, int){
	"half":     func(length int) (int, int) { return length / 2, length / 2 },
	"all but1": func(length int) (int, int) { return length - 1, length - 1 },
	"nothing":  func(int) (int, int) { return 0, 0 },
	"negative": func(int) (int, int) { return 0, -1 },
}

// eachShort runs f with each kind of conn and of write.
func eachShort(t *testing.T, f func(t *testing.T, at int, short func(net.Conn) net.Conn)) {
	for name, n := range shortWrites {
		for _, at := range []int{0, 1, 5} {
			if t.Failed() {
				return // each that hangs takes its time
			}
			t.Run(fmt.Sprintf("%s write %d messages", name, at), func(t *testing.T) {
				f(t, at, func(c net.Conn) net.Conn { return &short{Conn: c, at: int32(at), n: n} })
			})
			t.Run(fmt.Sprintf("%s write %d bytes", name, at), func(t *testing.T) {
				f(t, at, func(c net.Conn) net.Conn { return shortRaw{&short{Conn: c, at: int32(at), n: n}} })
			})
		}
	}
}

// A Write that is short at the client ends its connection: each call has its own answer, or an
// error that says so.
func TestShortWriteOfAClient(t *testing.T) {
	eachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		_, l := serveOn(t, nil, serviceOf(nil, nil))
		c := newClient(t, short(dial(t, l)))
		for i := 0; ; i++ {
			in := pattern(2000*(i%4), i) // some are written in two pieces
			out, err := inTime(t, func(ctx context.Context) (string, error) { return call(ctx, c, "echo", in) })
			if err != nil {
				wantIs(t, err, ttrpc.ErrClosed, io.ErrShortWrite)
				break
			}
			if out != in || i > at {
				t.Fatalf("call %d: the same: %v", i, out == in)
			}
		}
		wantIs(t, c.Err(), ttrpc.ErrClosed, io.ErrShortWrite)
		_, err := inTime(t, func(ctx context.Context) (string, error) { return call(ctx, c, "echo", "") })
		wantIs(t, err, ttrpc.ErrClosed)
	})
}

// Calls in flight beside the short Write end with it.
func TestShortWriteBesideACall(t *testing.T) {
	eachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		if at == 0 {
			return // then there is no call beside it
		}
		started := make(chan struct{}, 1)
		_, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{"hold": methodOf(func(ctx context.Context, _ string) (any, error) {
			started <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})}, nil))
		c := newClient(t, short(dial(t, l)))
		held := goCall(context.Background(), c, "hold", "")
		wait(t, started, "the call")
		var err error
		for err == nil {
			_, err = inTime(t, func(ctx context.Context) (string, error) { return call(ctx, c, "echo", "x") })
		}
		wantIs(t, err, ttrpc.ErrClosed, io.ErrShortWrite)
		wantIs(t, wait(t, held, "the call beside it"), ttrpc.ErrClosed)
	})
}

// At the server it ends the connection as well: what was answered is right, and the rest is told at
// once.
func TestShortWriteOfAServer(t *testing.T) {
	eachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		near, far := pair(t, "unix")
		serveOn(t, newConnListener(short(far)), serviceOf(nil, nil))
		c := newClient(t, near)
		for i := 0; ; i++ {
			in := pattern(2000*(i%4), i)
			out, err := inTime(t, func(ctx context.Context) (string, error) { return call(ctx, c, "echo", in) })
			if err != nil {
				wantIs(t, err, ttrpc.ErrClosed)
				return
			}
			if out != in || i > at {
				t.Fatalf("call %d: the same: %v", i, out == in)
			}
		}
	})
}

// Many calls at once, whose answers are written together: none gets bytes of another.
func TestShortWriteOfAnswersWrittenTogether(t *testing.T) {
	eachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		near, far := pair(t, "unix")
		serveOn(t, newConnListener(short(far)), serviceOf(nil, nil))
		c := newClient(t, near)
		var callers sync.WaitGroup
		for caller := range 16 {
			callers.Go(func() {
				for range 20 {
					in := pattern(300*caller, caller)
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					out, err := call(ctx, c, "echo", in)
					cancel()
					if err == nil && out != in || err != nil && !errors.Is(err, ttrpc.ErrClosed) {
						t.Errorf("caller %d: %v, the same: %v", caller, err, out == in)
					}
					if err != nil {
						return
					}
				}
			})
		}
		callers.Wait()
	})
}

// inTime fails the test when f hangs.
func inTime(t testing.TB, f func(context.Context) (string, error)) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := f(ctx)
	if ctx.Err() != nil {
		t.Fatal("it hangs")
	}
	return out, err
}
