//go:build unix

package ttrpc

import (
	"errors"
	"io"
	"syscall"
)

// canTryIO says that one read or write on a descriptor can be tried without blocking.
const canTryIO = true

const errWouldBlock = syscall.EAGAIN

// tryRead is one read(2) on a non-blocking descriptor; b is not empty.
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

// tryWrite is one write(2) on a non-blocking descriptor; a full socket takes nothing, which is no error.
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

// isResetErrno reports the errors of a connection that the peer has closed.
func isResetErrno(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
