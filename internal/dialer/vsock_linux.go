package dialer

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// vsockConn is an AF_VSOCK socket, which package net does not know. An os.File of a descriptor that
// does not block has the runtime's poller, and deadlines with it.
type vsockConn struct {
	pollable
	local, remote vsockAddr
}

// pollable is what a net.Conn has of an *os.File.
type pollable interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	SyscallConn() (syscall.RawConn, error)
}

// LocalAddr implements [net.Conn].
func (c *vsockConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *vsockConn) RemoteAddr() net.Addr { return c.remote }

// vsockAddr is an address of AF_VSOCK.
type vsockAddr struct{ cid, port uint32 }

// Network returns "vsock".
func (vsockAddr) Network() string { return "vsock" }

// String returns "CID:PORT".
func (a vsockAddr) String() string { return fmt.Sprintf("%d:%d", a.cid, a.port) }

// dialVsock connects to a port of a virtual machine, or of its host.
func dialVsock(ctx context.Context, cid, port uint32) (net.Conn, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c, err := newVsockConn(fd, vsockAddr{cid, port})
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	to := &unix.SockaddrVM{CID: cid, Port: port}
	if err := interruptible(ctx, c, func() error { return connectSocket(c, to) }); err != nil {
		c.Close()
		return nil, fmt.Errorf("dial vsock %v: %w", c.remote, err)
	}
	if sa, err := unix.Getsockname(fd); err == nil {
		if vm, ok := sa.(*unix.SockaddrVM); ok {
			c.local = vsockAddr{vm.CID, vm.Port}
		}
	}
	return c, nil
}

// newVsockConn takes a descriptor that does not block.
func newVsockConn(fd int, remote vsockAddr) (*vsockConn, error) {
	f := os.NewFile(uintptr(fd), "vsock")
	if f == nil {
		return nil, os.ErrInvalid
	}
	return &vsockConn{pollable: f, remote: remote}, nil
}

// connectSocket begins to connect a socket that does not block, and waits for the outcome.
func connectSocket(c syscall.Conn, to unix.Sockaddr) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	began := false
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		if !began {
			began = true
			failed = unix.Connect(int(fd), to)
		} else {
			failed = connectOutcome(int(fd))
		}
		return failed != unix.EINPROGRESS && failed != unix.EINTR && failed != unix.EALREADY
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", failed)
}

// connectOutcome says how connecting has ended, or EINPROGRESS. A socket may be woken for nothing.
func connectOutcome(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return syscall.Errno(code)
	}
	if _, err := unix.Getpeername(fd); err == unix.ENOTCONN {
		return unix.EINPROGRESS
	}
	return nil
}
