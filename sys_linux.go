//go:build !race

package ttrpc

import (
	"syscall"
	"unsafe"
)

// shortIO is up to how many bytes a call to the kernel, which copies some GB/s, is short enough to be made without
// telling Go's scheduler. For the scheduler a system call may block: it wakes its monitor thread for it, each time when
// a process that was idle has something to do, which is what request and response are. These do not block.
const shortIO = 256 << 10

func sysRead(fd uintptr, b []byte) (int, error) {
	if len(b) > shortIO {
		return syscall.Read(int(fd), b)
	}
	return result(syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

func sysWrite(fd uintptr, b []byte) (int, error) {
	if len(b) > shortIO {
		return syscall.Write(int(fd), b)
	}
	return result(syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

func result(n, _ uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
