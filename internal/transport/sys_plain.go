//go:build unix

package transport

import "syscall"

// plainRead and plainWrite are for sysRead and sysWrite where no call can say for itself that it
// does not block. A descriptor that somebody has made block (see sys_linux.go) is made not to each
// time; where a filter of system calls refuses that, it is as it is.
func plainRead(fd uintptr, b []byte) (int, error) {
	_ = syscall.SetNonblock(int(fd), true)
	return syscall.Read(int(fd), b)
}

func plainWrite(fd uintptr, b []byte) (int, error) {
	_ = syscall.SetNonblock(int(fd), true)
	return syscall.Write(int(fd), b)
}
