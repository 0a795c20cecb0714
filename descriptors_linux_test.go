//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// A peer on a unix socket can send descriptors beside its bytes (SCM_RIGHTS). Nobody has asked for
// them; they are closed, and what the closing costs is nobody's but the peer's.

// sfMaxDescriptors is how many the kernel takes with one message.
const sfMaxDescriptors = 253

// sfSendWith writes b in one message with descriptors, copies of which stay with the caller. Where
// the kernel refuses them, for the receiver has said that it takes none, the bytes are sent alone.
func sfSendWith(t testing.TB, conn net.Conn, b []byte, fds ...int) {
	t.Helper()
	if p, ok := conn.(*sfPeer); ok {
		conn = p.Conn
	}
	uc := conn.(*net.UnixConn)
	_, _, err := uc.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	if errors.Is(err, unix.EPERM) {
		_, err = uc.Write(b)
	}
	sfCheck(t, err)
}

func sfRepeat(fd, n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = fd
	}
	return fds
}

// sfPipe is a pipe whose only writing end is sent away by send.
type sfPipe struct{ r, w *os.File }

func newSfPipe(t testing.TB) *sfPipe {
	r, w, err := os.Pipe()
	sfCheck(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return &sfPipe{r, w}
}

func (p *sfPipe) fds(n int) []int { return sfRepeat(int(p.w.Fd()), n) }

// wantClosed waits until nobody has the writing end any more.
func (p *sfPipe) wantClosed(t testing.TB) {
	t.Helper()
	sfCheck(t, p.w.Close())
	sfCheck(t, p.r.SetReadDeadline(time.Now().Add(sfPatience)))
	if n, err := p.r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("%d bytes, %v: a descriptor is still open", n, err)
	}
}

func TestDescriptorsSentToAServer(t *testing.T) {
	for _, when := range []string{"after accept", "before accept"} {
		t.Run(when, func(t *testing.T) {
			l, pipe := sfListen(t), newSfPipe(t)
			p := newSfPeer(t, sfDial(t, l))
			if when == "after accept" {
				sfServe(t, l, sfDesc(nil, nil))
				p.send(sfRequest(1, 0, "echo", sfText("x")))
				sfEqual(t, p.recv().id, uint32(1))
			}
			b := sfRequest(3, 0, "echo", sfText("x")).bytes()
			large := sfRequest(5, 0, "echo", sfText(strings.Repeat("x", 100_000))).bytes()
			sfSendWith(t, p, b[:1], pipe.fds(1)...) // in the header, in the data, and with a whole frame
			sfSendWith(t, p, b[1:12], pipe.fds(sfMaxDescriptors)...)
			sfSendWith(t, p, b[12:], pipe.fds(1)...)
			sfSendWith(t, p, large[:50_000], pipe.fds(1)...)
			sfSendWith(t, p, large[50_000:], pipe.fds(1)...)
			for i := range uint32(20) {
				sfSendWith(t, p, sfRequest(2*i+7, 0, "echo", sfText("x")).bytes(), pipe.fds(sfMaxDescriptors)...)
			}
			if when == "before accept" {
				sfServe(t, l, sfDesc(nil, nil))
			}
			for range 22 {
				if f := p.recv(); f.typ != 2 || len(f.data) < 5 {
					t.Fatal("got", f)
				}
			}
			pipe.wantClosed(t)
			p.send(sfRequest(101, 0, "echo", sfText("x")))
			sfEqual(t, p.recv().id, uint32(101))
		})
	}
}

func TestDescriptorsSentToAClient(t *testing.T) {
	near, far := sfPair(t)
	c, p, pipe := sfClient(t, near), newSfPeer(t, far), newSfPipe(t)
	for range 20 {
		done := sfGo(context.Background(), c, "any", "x")
		answer := sfFrame{p.recv().id, 2, 0, nil}.bytes()
		sfSendWith(t, p, answer[:5], pipe.fds(1)...)
		sfSendWith(t, p, answer[5:], pipe.fds(sfMaxDescriptors)...)
		sfCheck(t, sfWait(t, done, "the call"))
	}
	pipe.wantClosed(t)
}

// sfStuck is the descriptor of a TCP connection whose last close waits for an hour: its peer does
// not read, and it has SO_LINGER. It stands for all that makes the kernel work for long when a
// descriptor is dropped.
func sfStuck(t testing.TB) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	sfCheck(t, err)
	conn, err := net.Dial("tcp", l.Addr().String())
	sfCheck(t, err)
	far, err := l.Accept()
	sfCheck(t, err)
	t.Cleanup(func() { far.Close(); l.Close() })
	f, err := conn.(*net.TCPConn).File()
	sfCheck(t, err)
	fd := int(f.Fd()) // which makes it block
	sfCheck(t, unix.SetNonblock(fd, true))
	for err = nil; err == nil; { // until both buffers are full
		_, err = unix.Write(fd, make([]byte, 1<<20))
	}
	sfEqual(t, err, error(unix.EAGAIN))
	sfCheck(t, conn.(*net.TCPConn).SetLinger(3600))
	sfCheck(t, conn.Close())
	return f
}

// sfSendStuck sends b with as many descriptors as one message has, a stuck one among them at the
// index; the only copies left are on their way then. It returns when the receiver has taken them.
func sfSendStuck(t testing.TB, conn net.Conn, b []byte, fill *os.File, index int) {
	t.Helper()
	f := sfStuck(t)
	fds := sfRepeat(int(fill.Fd()), sfMaxDescriptors)
	fds[index] = int(f.Fd())
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(b, unix.UnixRights(fds...), nil); errors.Is(err, unix.EPERM) {
		return // f stays open, for its closing is not what is tested
	} else if err != nil {
		t.Fatal(err)
	}
	go f.Close() // which stands still where the receiver has been quicker: it is the last one then
}

// sfAwaitTaken waits until the receiver has read all.
func sfAwaitTaken(t testing.TB, conn net.Conn) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	sfCheck(t, err)
	for left := 1; left > 0; runtime.Gosched() {
		err := raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		sfCheck(t, err)
	}
}

// sfStuckModes are what the processes of TestDescriptorsStopNobody do; each may stand still.
var sfStuckModes = map[string]func(*testing.T){
	"server":        func(t *testing.T) { sfStuckServer(t, false, 0) },
	"last":          func(t *testing.T) { sfStuckServer(t, false, sfMaxDescriptors-1) },
	"before accept": func(t *testing.T) { sfStuckServer(t, true, sfMaxDescriptors-1) },
	"few left": func(t *testing.T) { // the process may not have as many descriptors as are sent
		sfCheck(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}))
		sfStuckServer(t, false, sfMaxDescriptors-1)
	},
	"client":        sfStuckClient,
	"close":         sfStuckClose,
	"close on exec": sfStuckCloseOnExec,
}

// A descriptor whose last close waits, in a process with one processor that is not preempted by
// signals (GODEBUG= asyncpreemptoff=1; a signal would cut the waiting short): other connections are
// served, and timers fire.
func TestDescriptorsStopNobody(t *testing.T) {
	if mode := sfChild(); mode != "" {
		sfStuckModes[mode](t)
		fmt.Println("went on")
		os.Exit(0) // what waits would hold up the test's end
	}
	for mode := range sfStuckModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // those that hang do so at once
			out, err := sfRunChildOf(t, "TestDescriptorsStopNobody", mode, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
			if err != nil || !strings.Contains(out, "went on") {
				t.Errorf("%v: %.2000s", err, out)
			}
		})
	}
}

func sfNull(t testing.TB) *os.File {
	f, err := os.Open(os.DevNull)
	sfCheck(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// sfWantGoingOn makes sure that a server serves others, and that timers fire.
func sfWantGoingOn(t *testing.T, l net.Listener, old *ttrpc.Client) {
	t.Helper()
	for range 100 {
		sfWantEcho(t, old)
	}
	sfWantEcho(t, sfClient(t, sfDial(t, l)))
	fired := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { close(fired) })
	sfWait(t, fired, "a timer")
}

func sfStuckServer(t *testing.T, beforeAccept bool, index int) {
	l := sfListen(t)
	attack := sfRequest(1, 0, "echo", sfText("x")).bytes()
	var conn net.Conn
	if beforeAccept {
		conn = sfDial(t, l)
		sfSendStuck(t, conn, attack, sfNull(t), index)
	}
	sfServe(t, l, sfDesc(nil, nil))
	old := sfClient(t, sfDial(t, l))
	sfWantEcho(t, old)
	if !beforeAccept {
		conn = sfDial(t, l)
		sfSendStuck(t, conn, attack, sfNull(t), index)
	}
	sfAwaitTaken(t, conn)
	sfWantGoingOn(t, l, old)
}

func sfStuckClient(t *testing.T) {
	_, l := sfServe(t, nil, sfDesc(nil, nil))
	old := sfClient(t, sfDial(t, l))
	sfWantEcho(t, old)
	near, far := sfPair(t)
	sfClient(t, near)
	sfSendStuck(t, far, sfFrame{1, 2, 0, nil}.bytes(), sfNull(t), 0)
	sfAwaitTaken(t, far)
	sfWantGoingOn(t, l, old)
}

// sfStuckClose closes a server while a connection, whose handshake has not read it, holds a stuck
// descriptor.
func sfStuckClose(t *testing.T) {
	held := make(chan struct{})
	var conns atomic.Int32
	s, l := sfServe(t, nil, sfDesc(nil, nil), ttrpc.WithServerHandshaker(sfHandshakeContext(func(ctx context.Context) error {
		if conns.Add(1) == 1 {
			return nil
		}
		close(held)
		<-ctx.Done()
		return ctx.Err()
	})))
	old := sfClient(t, sfDial(t, l))
	sfWantEcho(t, old)
	sfSendStuck(t, sfDial(t, l), []byte{0}, sfNull(t), 0)
	sfWait(t, held, "the handshake")
	sfCheck(t, s.Close())
	sfCheck(t, old.UserOnCloseWait(context.Background()))
	ctx, cancel := context.WithTimeout(context.Background(), sfPatience)
	defer cancel()
	sfCheck(t, s.Shutdown(ctx))
}

// sfStuckCloseOnExec looks at the descriptors behind the stuck one. Should they be open for a
// while, programs that this process starts must not inherit them.
func sfStuckCloseOnExec(t *testing.T) {
	_, l := sfServe(t, nil, sfDesc(nil, nil))
	pipe, conn := newSfPipe(t), sfDial(t, l)
	sfSendStuck(t, conn, sfRequest(1, 0, "echo", sfText("x")).bytes(), pipe.w, 0)
	sfAwaitTaken(t, conn)
	sfWantEcho(t, sfClient(t, sfDial(t, l)))
	want, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", pipe.w.Fd()))
	sfCheck(t, err)
	links, err := filepath.Glob("/proc/self/fd/*")
	sfCheck(t, err)
	for _, link := range links {
		if target, _ := os.Readlink(link); target != want {
			continue
		}
		info, _ := os.ReadFile("/proc/self/fdinfo/" + filepath.Base(link)) // it may be closed by now
		_, flags, _ := strings.Cut(string(info), "flags:\t")
		var n int
		if _, err := fmt.Sscanf(flags, "%o", &n); err == nil && n&unix.O_CLOEXEC == 0 {
			t.Fatalf("descriptor %s is inherited", filepath.Base(link))
		}
	}
}
