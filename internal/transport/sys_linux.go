//go:build !race && !386 && !s390x

package transport

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// A descriptor of package net does not block, unless somebody has made it: os.File.Fd does so with
// what File of the same connection returned, and so may a process that shares it. A read(2) would
// block then, and whoever wants to close the connection with it.
// So each call says for itself that it does not.
//
// The scheduler knows of these calls. A peer can make one slow: it sends descriptors, and the last
// reference to what they stand for is dropped on the way out.
const noWait = syscall.MSG_DONTWAIT

// plainIO is set when a filter of system calls has refused recvfrom or sendto, which package net
// does not use on streams: read and write are used then, as there.
var plainIO atomic.Bool

func sysRead(fd uintptr, b []byte) (int, error) {
	if !plainIO.Load() {
		n, err := sysCall(syscall.SYS_RECVFROM, fd, b, noWait)
		if !isRefused(err) {
			return n, err
		}
		plainIO.Store(true)
	}
	return plainRead(fd, b)
}

func sysWrite(fd uintptr, b []byte) (int, error) {
	if !plainIO.Load() {
		n, err := sysCall(syscall.SYS_SENDTO, fd, b, noWait|syscall.MSG_NOSIGNAL)
		if !isRefused(err) {
			return n, err
		}
		plainIO.Store(true)
	}
	return plainWrite(fd, b)
}

func sysCall(trap, fd uintptr, b []byte, flags uintptr) (int, error) {
	n, _, errno := syscall.Syscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func isRefused(err error) bool {
	return err == syscall.EPERM || err == syscall.ENOSYS || err == syscall.EACCES
}
