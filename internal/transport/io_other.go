//go:build !unix

package transport

import (
	"errors"
	"syscall"
)

// canTryIO is false here: connections read and write through net.Conn, which blocks.
const canTryIO = false

const errWouldBlock = syscall.EAGAIN

func tryRead(uintptr, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func tryWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
func growSndbuf(uintptr)                    {}

// Winsock's numbers for what the other systems call ECONNABORTED and ECONNRESET.
const (
	wsaConnAborted = syscall.Errno(10053)
	wsaConnReset   = syscall.Errno(10054)
)

// IsReset reports the errors of a connection that the peer has closed.
func IsReset(err error) bool {
	return errors.Is(err, wsaConnReset) || errors.Is(err, wsaConnAborted) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
