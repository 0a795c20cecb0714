//go:build go1.25 && (amd64 || arm64)

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// uxSeccompEnv tells a child of this test what to do: see uxSeccompChild.
const uxSeccompEnv = "TTRPC_UNUSUAL_SECCOMP"

// uxSocketCalls are those that a program which reads and writes its sockets does without.
var uxSocketCalls = []uint32{unix.SYS_RECVFROM, unix.SYS_SENDTO, unix.SYS_RECVMSG, unix.SYS_SENDMSG}

// uxRefuse has the kernel answer system calls with an errno, on all threads of the process and for
// good.
func uxRefuse(errno syscall.Errno, calls ...uint32) error {
	const (
		setModeFilter = 1
		flagTsync     = 1
		retAllow      = 0x7fff0000
		retErrno      = 0x00050000
	)
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // its number
	for i, nr := range calls {
		left := uint8(len(calls) - i) // the others, and the return
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: left, K: nr})
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retAllow},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(errno)})
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // TSYNC gives the other threads this one's no_new_privs
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	_, _, err := syscall.RawSyscall(unix.SYS_SECCOMP, setModeFilter, flagTsync, uintptr(unsafe.Pointer(&prog)))
	if err != 0 {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}

// uxRefused says whether the filter stands: the socket's other end is the caller's too.
func uxRefused(errno syscall.Errno) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if _, _, err := unix.Recvfrom(fds[0], make([]byte, 1), unix.MSG_DONTWAIT); err != errno {
		return fmt.Errorf("recvfrom: %v", err)
	}
	if err := unix.Sendto(fds[0], []byte{1}, 0, nil); err != errno {
		return fmt.Errorf("sendto: %v", err)
	}
	return nil
}

// TestSeccompWithoutRecvfromAndSendto runs a server, and its client, in processes that may not make
// these calls, where a program that reads and writes may well run.
func TestSeccompWithoutRecvfromAndSendto(t *testing.T) {
	if role := os.Getenv(uxSeccompEnv); role != "" {
		uxSeccompChild(t, role)
		return
	}
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS} {
		for _, role := range []string{"both", "server", "client"} {
			for _, n := range []int{2, 4} {
				t.Run(fmt.Sprintf("%s/%v/%d calls", role, errno, n), func(t *testing.T) {
					uxSeccomp(t, role, fmt.Sprint(role, " ", int(errno), " ", n))
				})
			}
		}
	}
}

// uxSeccomp has a child with the filter be the server, the client or both; this process is the
// other one.
func uxSeccomp(t *testing.T, role, env string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var addr string
	if role == "client" {
		addr = uxServe(t, nil).addr
	}
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSeccompWithoutRecvfromAndSendto$", "-test.v")
	child.Env = append(os.Environ(), uxSeccompEnv+"="+env+" "+addr)
	stdin, err := child.StdinPipe() // its end is the child's
	uxCheck(t, err)
	stdout, err := child.StdoutPipe()
	uxCheck(t, err)
	child.Stderr = child.Stdout
	uxCheck(t, child.Start())
	var all strings.Builder
	if role == "server" {
		if addr := uxReady(stdout, &all); addr != "" {
			conn, err := net.Dial("unix", addr)
			uxCheck(t, err)
			if err := uxUseAll(ctx, conn); err != nil {
				t.Error(err)
			}
		}
	}
	stdin.Close()
	io.Copy(&all, stdout)
	switch err := child.Wait(); {
	case strings.Contains(all.String(), "SKIP:"):
		t.Skip(all.String())
	case err != nil || t.Failed():
		t.Errorf("%v:\n%s", err, all.String())
	}
}

// uxReady reads the child's output up to its address.
func uxReady(stdout io.Reader, all *strings.Builder) string {
	b := make([]byte, 1)
	for {
		if _, err := stdout.Read(b); err != nil {
			return ""
		}
		all.Write(b)
		if _, line, ok := strings.Cut(all.String(), "serving at "); ok && b[0] == '\n' {
			return strings.TrimSpace(line)
		}
	}
}

// uxSeccompChild does without the first n of uxSocketCalls.
func uxSeccompChild(t *testing.T, env string) {
	var role, addr string
	var errno, n int
	fmt.Sscan(env, &role, &errno, &n, &addr)
	if err := uxRefuse(syscall.Errno(errno), uxSocketCalls[:n]...); err != nil {
		fmt.Println("SKIP: no filter can be installed:", err)
		return
	}
	uxCheck(t, uxRefused(syscall.Errno(errno)))
	if role != "client" {
		s := uxServe(t, nil)
		addr = s.addr
		fmt.Println("serving at", addr)
	}
	if role == "server" {
		io.Copy(io.Discard, os.Stdin)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := net.Dial("unix", addr)
	uxCheck(t, err)
	uxCheck(t, uxUseAll(ctx, conn))
}

// uxUseAll makes calls one after the other and at once, small and large, and uses a stream.
func uxUseAll(ctx context.Context, conn net.Conn) error {
	client := ttrpc.NewClient(conn)
	defer client.Close()
	call := func(n int) error {
		in := strings.Repeat("x", n)
		if out, err := uxCall(ctx, client, "echo", in); err != nil || out != in {
			return fmt.Errorf("a call of %d bytes: %w", n, err)
		}
		return nil
	}
	for i := range 100 {
		if err := call(i); err != nil {
			return err
		}
	}
	errs := make(chan error, 64)
	for range cap(errs) {
		go func() { errs <- call(100_000) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			return err
		}
	}
	if err := call(4_000_000); err != nil {
		return err
	}
	return uxUseStream(ctx, client)
}

func uxUseStream(ctx context.Context, client *ttrpc.Client) error {
	cs, err := client.NewStream(ctx, uxBoth, uxService, "chat", nil)
	if err != nil {
		return err
	}
	in := new(wrapperspb.StringValue)
	for _, n := range []int{1, 10, 100_000, 1_000_000} {
		if err := cs.SendMsg(uxText(strings.Repeat("y", n))); err != nil {
			return err
		}
		if err := cs.RecvMsg(in); err != nil || len(in.Value) != n {
			return fmt.Errorf("a message of %d bytes: got %d, %w", n, len(in.Value), err)
		}
	}
	if err := cs.CloseSend(); err != nil {
		return err
	}
	if err := cs.RecvMsg(in); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the stream ends in %w", err)
	}
	return nil
}
