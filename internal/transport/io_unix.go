//go:build unix

package transport

import (
	"errors"
	"io"
	"syscall"
)

// canTryIO says that one read or write on a descriptor can be tried without blocking.
const canTryIO = true

const errWouldBlock = syscall.EAGAIN

// tryRead is one read(2) on a descriptor; b is not empty.
func tryRead(fd uintptr, b []byte) (int, error) {
	for {
		n, err := sysRead(fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// tryWrite is one write(2) on a descriptor; a full socket takes nothing, which is no error.
func tryWrite(fd uintptr, b []byte) (int, error) {
	for {
		n, err := sysWrite(fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, err
		}
		return n, nil
	}
}

// largeSndbuf is the send buffer that a unix socket gets once a large frame has not fit, in bytes;
// the system's default for them (208 KiB on Linux) has the two sides of a large message wait for
// each other. The system may give less.
const largeSndbuf = 512 << 10

// defaultSndbuf is what a socket has whose owner has not chosen, in bytes:
// net.core.wmem_default of Linux.
const defaultSndbuf = 212992

// growSndbuf gives such a socket a larger send buffer.
// Where it fails the socket is as good as before.
func growSndbuf(fd uintptr) {
	size, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	if err == nil && size == defaultSndbuf {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, largeSndbuf)
	}
}

// IsReset reports the errors of a connection that the peer has closed.
func IsReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
