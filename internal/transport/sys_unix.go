//go:build unix && (!linux || race || 386 || s390x)

package transport

import "syscall"

// Under the race detector these are the ones on Linux too: what a handler does comes before what
// its caller does next, and package syscall tells the detector so for two ends in one process. On
// 386 and s390x Linux has one system call for all that sockets do. A descriptor that somebody has
// made block (see sys_linux.go) is made not to each time.

func sysRead(fd uintptr, b []byte) (int, error) {
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return 0, err
	}
	return syscall.Read(int(fd), b)
}

func sysWrite(fd uintptr, b []byte) (int, error) {
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return 0, err
	}
	return syscall.Write(int(fd), b)
}
