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

// maxDescriptors is how many the kernel takes with one message.
const maxDescriptors = 253

// sendWith writes b in one message with descriptors, copies of which stay with the caller. Where
// the kernel refuses them, for the receiver has said that it takes none, the bytes are sent alone.
func sendWith(t testing.TB, conn net.Conn, b []byte, fds ...int) {
	t.Helper()
	if p, ok := conn.(*rawPeer); ok {
		conn = p.Conn
	}
	uc := conn.(*net.UnixConn)
	_, _, err := uc.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	if errors.Is(err, unix.EPERM) {
		_, err = uc.Write(b)
	}
	check(t, err)
}

func copies(fd, n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = fd
	}
	return fds
}

// fullPipe is a pipe whose only writing end is sent away by send.
type fullPipe struct{ r, w *os.File }

func newFullPipe(t testing.TB) *fullPipe {
	r, w, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return &fullPipe{r, w}
}

func (p *fullPipe) fds(n int) []int { return copies(int(p.w.Fd()), n) }

// wantClosed waits until nobody has the writing end any more.
func (p *fullPipe) wantClosed(t testing.TB) {
	t.Helper()
	check(t, p.w.Close())
	check(t, p.r.SetReadDeadline(time.Now().Add(patience)))
	if n, err := p.r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("%d bytes, %v: a descriptor is still open", n, err)
	}
}

func TestDescriptorsSentToAServer(t *testing.T) {
	for _, when := range []string{"after accept", "before accept"} {
		t.Run(when, func(t *testing.T) {
			l, pipe := listen(t, "unix"), newFullPipe(t)
			p := newRawPeer(t, dial(t, l))
			if when == "after accept" {
				serveOn(t, l, serviceOf(nil, nil))
				p.send(requestWith(1, 0, "echo", text("x")))
				equal(t, p.recv().id, uint32(1))
			}
			b := requestWith(3, 0, "echo", text("x")).bytes()
			large := requestWith(5, 0, "echo", text(strings.Repeat("x", 100_000))).bytes()
			sendWith(t, p, b[:1], pipe.fds(1)...) // in the header, in the data, and with a whole frame
			sendWith(t, p, b[1:12], pipe.fds(maxDescriptors)...)
			sendWith(t, p, b[12:], pipe.fds(1)...)
			sendWith(t, p, large[:50_000], pipe.fds(1)...)
			sendWith(t, p, large[50_000:], pipe.fds(1)...)
			for i := range uint32(20) {
				sendWith(t, p, requestWith(2*i+7, 0, "echo", text("x")).bytes(), pipe.fds(maxDescriptors)...)
			}
			if when == "before accept" {
				serveOn(t, l, serviceOf(nil, nil))
			}
			for range 22 {
				if f := p.recv(); f.typ != 2 || len(f.data) < 5 {
					t.Fatal("got", f)
				}
			}
			pipe.wantClosed(t)
			p.send(requestWith(101, 0, "echo", text("x")))
			equal(t, p.recv().id, uint32(101))
		})
	}
}

func TestDescriptorsSentToAClient(t *testing.T) {
	near, far := pair(t, "unix")
	c, p, pipe := newClient(t, near), newRawPeer(t, far), newFullPipe(t)
	for range 20 {
		done := goCall(context.Background(), c, "any", "x")
		answer := rawFrame{id: p.recv().id, typ: 2}.bytes()
		sendWith(t, p, answer[:5], pipe.fds(1)...)
		sendWith(t, p, answer[5:], pipe.fds(maxDescriptors)...)
		check(t, wait(t, done, "the call"))
	}
	pipe.wantClosed(t)
}

// stuck is the descriptor of a TCP connection whose last close waits for an hour: its peer does
// not read, and it has SO_LINGER. It stands for all that makes the kernel work for long when a
// descriptor is dropped.
func stuck(t testing.TB) *os.File {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	conn, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	far, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { far.Close(); l.Close() })
	f, err := conn.(*net.TCPConn).File()
	check(t, err)
	fd := int(f.Fd()) // which makes it block
	check(t, unix.SetNonblock(fd, true))
	for err = nil; err == nil; { // until both buffers are full
		_, err = unix.Write(fd, make([]byte, 1<<20))
	}
	equal(t, err, error(unix.EAGAIN))
	check(t, conn.(*net.TCPConn).SetLinger(3600))
	check(t, conn.Close())
	return f
}

// sendStuck sends b with as many descriptors as one message has, a stuck one among them at the
// index; the only copies left are on their way then. It returns when the receiver has taken them.
func sendStuck(t testing.TB, conn net.Conn, b []byte, fill *os.File, index int) {
	t.Helper()
	f := stuck(t)
	fds := copies(int(fill.Fd()), maxDescriptors)
	fds[index] = int(f.Fd())
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(b, unix.UnixRights(fds...), nil); errors.Is(err, unix.EPERM) {
		return // f stays open, for its closing is not what is tested
	} else if err != nil {
		t.Fatal(err)
	}
	go f.Close() // which stands still where the receiver has been quicker: it is the last one then
}

// awaitTaken waits until the receiver has read all.
func awaitTaken(t testing.TB, conn net.Conn) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	check(t, err)
	for left := 1; left > 0; runtime.Gosched() {
		err := raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		check(t, err)
	}
}

// stuckModes are what the processes of TestDescriptorsStopNobody do; each may stand still.
var stuckModes = map[string]func(*testing.T){
	"server":        func(t *testing.T) { stuckServer(t, false, 0) },
	"last":          func(t *testing.T) { stuckServer(t, false, maxDescriptors-1) },
	"before accept": func(t *testing.T) { stuckServer(t, true, maxDescriptors-1) },
	"few left": func(t *testing.T) { // the process may not have as many descriptors as are sent
		check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}))
		stuckServer(t, false, maxDescriptors-1)
	},
	"client":        stuckClient,
	"close":         stuckClose,
	"close on exec": stuckCloseOnExec,
}

// A descriptor whose last close waits, in a process with one processor that is not preempted by
// signals (GODEBUG= asyncpreemptoff=1; a signal would cut the waiting short): other connections are
// served, and timers fire.
func TestDescriptorsStopNobody(t *testing.T) {
	if mode := child(); mode != "" {
		stuckModes[mode](t)
		fmt.Println("went on")
		os.Exit(0) // what waits would hold up the test's end
	}
	for mode := range stuckModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // those that hang do so at once
			out, err := runChildOf(t, "TestDescriptorsStopNobody", mode, "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
			if err != nil || !strings.Contains(out, "went on") {
				t.Errorf("%v: %.2000s", err, out)
			}
		})
	}
}

func null(t testing.TB) *os.File {
	f, err := os.Open(os.DevNull)
	check(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// wantGoingOn makes sure that a server serves others, and that timers fire.
func wantGoingOn(t *testing.T, l net.Listener, old *ttrpc.Client) {
	t.Helper()
	for range 100 {
		wantEcho(t, old)
	}
	wantEcho(t, newClient(t, dial(t, l)))
	fired := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { close(fired) })
	wait(t, fired, "a timer")
}

func stuckServer(t *testing.T, beforeAccept bool, index int) {
	l := listen(t, "unix")
	attack := requestWith(1, 0, "echo", text("x")).bytes()
	var conn net.Conn
	if beforeAccept {
		conn = dial(t, l)
		sendStuck(t, conn, attack, null(t), index)
	}
	serveOn(t, l, serviceOf(nil, nil))
	old := newClient(t, dial(t, l))
	wantEcho(t, old)
	if !beforeAccept {
		conn = dial(t, l)
		sendStuck(t, conn, attack, null(t), index)
	}
	awaitTaken(t, conn)
	wantGoingOn(t, l, old)
}

func stuckClient(t *testing.T) {
	_, l := serveOn(t, nil, serviceOf(nil, nil))
	old := newClient(t, dial(t, l))
	wantEcho(t, old)
	near, far := pair(t, "unix")
	newClient(t, near)
	sendStuck(t, far, rawFrame{id: 1, typ: 2}.bytes(), null(t), 0)
	awaitTaken(t, far)
	wantGoingOn(t, l, old)
}

// stuckClose closes a server while a connection, whose handshake has not read it, holds a stuck
// descriptor.
func stuckClose(t *testing.T) {
	held := make(chan struct{})
	var conns atomic.Int32
	s, l := serveOn(t, nil, serviceOf(nil, nil), ttrpc.WithServerHandshaker(handshakeOf(func(ctx context.Context) error {
		if conns.Add(1) == 1 {
			return nil
		}
		close(held)
		<-ctx.Done()
		return ctx.Err()
	})))
	old := newClient(t, dial(t, l))
	wantEcho(t, old)
	sendStuck(t, dial(t, l), []byte{0}, null(t), 0)
	wait(t, held, "the handshake")
	check(t, s.Close())
	check(t, old.UserOnCloseWait(context.Background()))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	check(t, s.Shutdown(ctx))
}

// stuckCloseOnExec looks at the descriptors behind the stuck one. Should they be open for a
// while, programs that this process starts must not inherit them.
func stuckCloseOnExec(t *testing.T) {
	_, l := serveOn(t, nil, serviceOf(nil, nil))
	pipe, conn := newFullPipe(t), dial(t, l)
	sendStuck(t, conn, requestWith(1, 0, "echo", text("x")).bytes(), pipe.w, 0)
	awaitTaken(t, conn)
	wantEcho(t, newClient(t, dial(t, l)))
	want, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", pipe.w.Fd()))
	check(t, err)
	links, err := filepath.Glob("/proc/self/fd/*")
	check(t, err)
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
