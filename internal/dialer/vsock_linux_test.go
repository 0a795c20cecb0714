//go:build go1.25

package dialer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newSocket returns a socket that does not block, as dialVsock makes them, of a family that works
// everywhere.
func newSocket(t *testing.T) *vsockConn {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	c, err := newVsockConn(fd, vsockAddr{3, 1024})
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// Connecting waits for its outcome, in the poller.
func TestConnectSocket(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	to := &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	c := newSocket(t)
	check(t, connectSocket(c, to))
	peer, err := l.Accept()
	check(t, err)
	_, err = c.Write([]byte("there"))
	check(t, err)
	b := make([]byte, 5)
	_, err = io.ReadFull(peer, b)
	check(t, err)
	equal(t, string(b), "there")

	check(t, c.SetReadDeadline(time.Now()))
	_, err = c.Read(b)
	wantIs(t, err, os.ErrDeadlineExceeded)
	check(t, c.SetReadDeadline(time.Time{}))
	peer.Close()
	_, err = c.Read(b)
	equal(t, err, io.EOF)
	check(t, c.Close())
	_, err = c.Read(b)
	wantIs(t, err, os.ErrClosed)

	check(t, l.Close())
	wantIs(t, connectSocket(newSocket(t), to), syscall.ECONNREFUSED)
}

// fullListener is the address of a socket that takes no connection any more: whoever connects to it
// waits.
func fullListener(t *testing.T) unix.Sockaddr {
	t.Helper()
	socket := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		check(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	l := socket()
	check(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(t, unix.Listen(l, 0))
	addr, err := unix.Getsockname(l)
	check(t, err)
	for range 3 { // the queue has room for one
		if err := unix.Connect(socket(), addr); err != nil {
			equal(t, err, error(unix.EINPROGRESS))
		}
	}
	return addr
}

// A context that ends ends the waiting.
func TestConnectSocketInterrupted(t *testing.T) {
	to := fullListener(t)
	ctx, cancel := context.WithCancel(context.Background())
	c := newSocket(t)
	began := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- interruptible(ctx, c, func() error {
			close(began)
			return connectSocket(c, to)
		})
	}()
	<-began
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A conn over AF_VSOCK carries bytes, where the kernel has a loopback for it.
func TestVsock(t *testing.T) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skip("there is no AF_VSOCK:", err)
	}
	defer unix.Close(fd)
	check(t, unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: unix.VMADDR_PORT_ANY}))
	sa, err := unix.Getsockname(fd)
	check(t, err)
	check(t, unix.Listen(fd, 1))
	port := sa.(*unix.SockaddrVM).Port
	conn, err := dialVsock(context.Background(), unix.VMADDR_CID_LOCAL, port)
	if err != nil {
		t.Skip("there is no loopback for AF_VSOCK:", err)
	}
	defer conn.Close()
	peer, _, err := unix.Accept(fd)
	check(t, err)
	_, err = unix.Write(peer, []byte("hello"))
	check(t, err)
	check(t, unix.Close(peer))
	b, err := io.ReadAll(conn)
	check(t, err)
	equal(t, string(b), "hello")
	equal(t, conn.RemoteAddr().String(), vsockAddr{unix.VMADDR_CID_LOCAL, port}.String())
	equal(t, conn.LocalAddr().Network(), "vsock")
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}
