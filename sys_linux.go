//go:build !race && !386

package ttrpc

import (
	"syscall"
	"unsafe"
)

// shortIO is up to how many bytes a call to the kernel, which copies some GB/s, is short enough to be made without
// telling Go's scheduler. For the scheduler a system call may block: it wakes its monitor thread for it, each time when
// a process that was idle has something to do, which is what request and response are. These do not block.
const shortIO = 256 << 10

// A descriptor of package net does not block, unless somebody has made it: os.File.Fd does so with what File of the same
// connection returned, and so may a process that shares it. A read(2) would block then, and stop this process with it.
const noWait = syscall.MSG_DONTWAIT

func sysRead(fd uintptr, b []byte) (int, error) {
	if len(b) > shortIO {
		return result(syscall.Syscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), noWait, 0, 0))
	}
	return result(syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), noWait, 0, 0))
}

func sysWrite(fd uintptr, b []byte) (int, error) {
	const flags = noWait | syscall.MSG_NOSIGNAL
	if len(b) > shortIO {
		return result(syscall.Syscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0))
	}
	return result(syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0))
}

func result(n, _ uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
