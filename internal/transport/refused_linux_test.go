//go:build go1.25 && !race && !386 && !s390x

package transport

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/containerd/ttrpc/internal/testkit"
)

const refusedVariable = "TTRPC_TEST_REFUSED"

// A filter of system calls, as containers have them, may know only those that package net uses: all
// works by these. A process of its own tries each, for a filter stays.
func TestRefusedSystemCalls(t *testing.T) {
	if how := os.Getenv(refusedVariable); how != "" {
		errno, err := strconv.Atoi(how)
		testkit.Check(t, err)
		useRefused(t, syscall.Errno(errno))
		return
	}
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS, syscall.EACCES} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRefusedSystemCalls$", "-test.timeout=1m", "-test.v")
		cmd.Env = append(os.Environ(), refusedVariable+"="+strconv.Itoa(int(errno)))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", errno, err, out)
		}
		if bytes.Contains(out, []byte("--- SKIP")) {
			t.Skipf("%s", out)
		}
	}
}

func useRefused(t *testing.T, errno syscall.Errno) {
	parked := newPolled(t, Config{}) // its loop waits from before the filter
	large := strings.Repeat("x", 4<<20)
	out, in := testkit.Pair(t, "unix")
	sender, receiver := newTransport(t, out, Config{Backlog: 1 << 30, OnFail: func(error) {}}), newTransport(t, in, Config{MaxData: 8 << 20})
	// This is more than the socket takes: the rest is refused amid the frame.
	post(t, sender, data(1, large)).Flush(true)
	refuse(t, errno)
	for _, conn := range []net.Conn{parked.conn, out, in} {
		makeBlock(t, conn)
	}

	parked.Enter()
	testkit.Equal(t, len(parked.steal()), 0) // it is refused, which loses nothing
	testkit.Equal(t, plainIO.Load(), true)
	parked.stop()
	parked.write(t, framesOf(0, 3, 10))
	testkit.Eventually(t, "the loop to go on", func() bool { return len(parked.read()) == 3 })

	gate := newGate()
	post(t, sender, data(3, "later")).Flush(true)
	for _, want := range []string{large, "later"} {
		got, err := receiver.Recv(gate, true)
		testkit.Check(t, err)
		testkit.Equal(t, string(got.Data()) == want, true)
	}
	testkit.Check(t, sender.WaitWritten(bg, sender.Posted()))
	testkit.Eventually(t, "the writer's end", func() bool { return !isWriting(sender) })
	receiver.Discard()
}

// makeBlock has a descriptor block, as os.File.Fd does with one that shares the connection.
func makeBlock(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	testkit.Check(t, err)
	testkit.Check(t, raw.Control(func(fd uintptr) { err = syscall.SetNonblock(int(fd), false) }))
	testkit.Check(t, err)
}

// refuse has the whole process get an error from the two system calls.
func refuse(t *testing.T, errno syscall.Errno) {
	t.Helper()
	const nr = 0 // where the number stands in what a filter sees
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nr},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syscall.SYS_RECVFROM, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syscall.SYS_SENDTO, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the second call gives all threads what this one has
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skip("no filters here:", err)
	}
	_, _, err := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if err != 0 {
		t.Skip("no filters here:", err)
	}
}
