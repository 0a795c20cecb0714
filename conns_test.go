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

// sfSocketPair returns the ends of a socketpair of any kind.
func sfSocketPair(t testing.TB, kind int) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skip("this system has no such sockets")
	}
	sfCheck(t, err)
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f)
		sfCheck(t, err)
		sfCheck(t, f.Close())
		conns[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return conns[0], conns[1]
}

// These are conns of users around a *net.UnixConn: all have SyscallConn, which says nothing of what
// they do.
type (
	sfEmbedding struct{ *net.UnixConn }
	sfNoRaw     struct{ *net.UnixConn }
)

func (sfNoRaw) SyscallConn() (syscall.RawConn, error) { return nil, errors.New("not now") }

// sfLargest fits into a message of a socket with the usual send buffer.
const sfLargest = 100_000

// A conn that keeps messages is known by its descriptor, whatever the conn is made of: frames
// arrive whole at any size, in both directions, beside each other.
func TestConnsThatKeepMessages(t *testing.T) {
	kinds := map[string]int{"seqpacket": unix.SOCK_SEQPACKET, "stream": unix.SOCK_STREAM}
	wraps := map[string]func(*net.UnixConn) net.Conn{
		"bare":        func(c *net.UnixConn) net.Conn { return c },
		"embedding":   func(c *net.UnixConn) net.Conn { return sfEmbedding{c} },
		"pointer":     func(c *net.UnixConn) net.Conn { return &sfEmbedding{c} },
		"no raw conn": func(c *net.UnixConn) net.Conn { return sfNoRaw{c} },
	}
	for kind, number := range kinds {
		for wrap, f := range wraps {
			t.Run(kind+" "+wrap, func(t *testing.T) {
				near, far := sfSocketPair(t, number)
				sfServe(t, newSfListener(f(far)), sfDesc(nil, nil))
				sfEchoSizes(t, sfClient(t, f(near)))
			})
		}
	}
}

// sfEchoSizes calls with payloads of many sizes, four at once.
func sfEchoSizes(t *testing.T, c *ttrpc.Client) {
	t.Helper()
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for _, size := range []int{0, 1, 4000, 4096, 8182, 8999, 9000, 9001, 12_000, 32_768, 65_536, sfLargest} {
				in := sfPattern(size, caller)
				ctx, cancel := context.WithTimeout(context.Background(), sfPatience)
				out, err := sfCall(ctx, c, "echo", in)
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

// sfPattern is a text in which a splice shows.
func sfPattern(size, seed int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%d:%d ", seed, i)
	}
	return b.String()[:size]
}

// The pieces are those of the releases, which is where a peer of theirs expects them: up to 4096
// bytes, then the rest.
func TestPiecesOfPackets(t *testing.T) {
	near, far := sfSocketPair(t, unix.SOCK_SEQPACKET)
	sfServe(t, newSfListener(sfEmbedding{far}), sfDesc(nil, nil))
	p, out := newSfPeer(t, near), bufio.NewWriter(near)
	for i, size := range []int{0, 4000, 4096, 8999, 9000, 50_000, sfLargest} {
		in := sfText(sfPattern(size, i))
		b := sfRequest(uint32(2*i+1), 0, "echo", in).bytes()
		_, err := out.Write(b[:10])
		sfCheck(t, err)
		_, err = out.Write(b[10:])
		sfCheck(t, err)
		sfCheck(t, out.Flush())
		f, resp := p.recv(), new(ttrpc.Response)
		sfCheck(t, proto.Unmarshal(f.data, resp))
		if resp.Status != nil || string(resp.Payload) != string(sfEncode(in)) {
			t.Fatalf("%d bytes: %v and %d bytes", size, resp.Status, len(resp.Payload))
		}
	}
}

// sfShort is a conn of which one Write, the at-th from 0, returns less than it was given, and no
// error: n says how much of it, and what it returns.
type sfShort struct {
	net.Conn
	writes atomic.Int32
	at     int32
	n      func(length int) (written, returned int)
}

func (c *sfShort) Write(b []byte) (int, error) {
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

// sfShortRaw is one that looks like a stream of bytes.
type sfShortRaw struct{ *sfShort }

func (c sfShortRaw) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

var sfShortWrites = map[string]func(length int) (int, int){
	"half":     func(length int) (int, int) { return length / 2, length / 2 },
	"all but1": func(length int) (int, int) { return length - 1, length - 1 },
	"nothing":  func(int) (int, int) { return 0, 0 },
	"negative": func(int) (int, int) { return 0, -1 },
}

// sfEachShort runs f with each kind of conn and of write.
func sfEachShort(t *testing.T, f func(t *testing.T, at int, short func(net.Conn) net.Conn)) {
	for name, n := range sfShortWrites {
		for _, at := range []int{0, 1, 5} {
			if t.Failed() {
				return // each that hangs takes its time
			}
			t.Run(fmt.Sprintf("%s write %d messages", name, at), func(t *testing.T) {
				f(t, at, func(c net.Conn) net.Conn { return &sfShort{Conn: c, at: int32(at), n: n} })
			})
			t.Run(fmt.Sprintf("%s write %d bytes", name, at), func(t *testing.T) {
				f(t, at, func(c net.Conn) net.Conn { return sfShortRaw{&sfShort{Conn: c, at: int32(at), n: n}} })
			})
		}
	}
}

// A Write that is short at the client ends its connection: each call has its own answer, or an
// error that says so.
func TestShortWriteOfAClient(t *testing.T) {
	sfEachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		_, l := sfServe(t, nil, sfDesc(nil, nil))
		c := sfClient(t, short(sfDial(t, l)))
		for i := 0; ; i++ {
			in := sfPattern(2000*(i%4), i) // some are written in two pieces
			out, err := sfWithin(t, func(ctx context.Context) (string, error) { return sfCall(ctx, c, "echo", in) })
			if err != nil {
				sfWantIs(t, err, ttrpc.ErrClosed, io.ErrShortWrite)
				break
			}
			if out != in || i > at {
				t.Fatalf("call %d: the same: %v", i, out == in)
			}
		}
		sfWantIs(t, c.Err(), ttrpc.ErrClosed, io.ErrShortWrite)
		_, err := sfWithin(t, func(ctx context.Context) (string, error) { return sfCall(ctx, c, "echo", "") })
		sfWantIs(t, err, ttrpc.ErrClosed)
	})
}

// Calls in flight beside the short Write end with it.
func TestShortWriteBesideACall(t *testing.T) {
	sfEachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		if at == 0 {
			return // then there is no call beside it
		}
		started := make(chan struct{}, 1)
		_, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{"hold": sfMethod(func(ctx context.Context, _ string) (any, error) {
			started <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		})}, nil))
		c := sfClient(t, short(sfDial(t, l)))
		held := sfGo(context.Background(), c, "hold", "")
		sfWait(t, started, "the call")
		var err error
		for err == nil {
			_, err = sfWithin(t, func(ctx context.Context) (string, error) { return sfCall(ctx, c, "echo", "x") })
		}
		sfWantIs(t, err, ttrpc.ErrClosed, io.ErrShortWrite)
		sfWantIs(t, sfWait(t, held, "the call beside it"), ttrpc.ErrClosed)
	})
}

// At the server it ends the connection as well: what was answered is right, and the rest is told at
// once.
func TestShortWriteOfAServer(t *testing.T) {
	sfEachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		near, far := sfPair(t)
		sfServe(t, newSfListener(short(far)), sfDesc(nil, nil))
		c := sfClient(t, near)
		for i := 0; ; i++ {
			in := sfPattern(2000*(i%4), i)
			out, err := sfWithin(t, func(ctx context.Context) (string, error) { return sfCall(ctx, c, "echo", in) })
			if err != nil {
				sfWantIs(t, err, ttrpc.ErrClosed)
				return
			}
			if out != in || i > at {
				t.Fatalf("call %d: the same: %v", i, out == in)
			}
		}
	})
}

// Many calls at once, whose answers are written together: none gets bytes of another.
func TestShortWriteInACrowd(t *testing.T) {
	sfEachShort(t, func(t *testing.T, at int, short func(net.Conn) net.Conn) {
		near, far := sfPair(t)
		sfServe(t, newSfListener(short(far)), sfDesc(nil, nil))
		c := sfClient(t, near)
		var callers sync.WaitGroup
		for caller := range 16 {
			callers.Go(func() {
				for range 20 {
					in := sfPattern(300*caller, caller)
					ctx, cancel := context.WithTimeout(context.Background(), sfPatience)
					out, err := sfCall(ctx, c, "echo", in)
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

// sfWithin fails the test when f hangs.
func sfWithin(t testing.TB, f func(context.Context) (string, error)) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sfPatience)
	defer cancel()
	out, err := f(ctx)
	if ctx.Err() != nil {
		t.Fatal("it hangs")
	}
	return out, err
}
