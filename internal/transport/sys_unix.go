//go:build unix && (!linux || race || 386 || s390x)

package transport

// Under the race detector these are the ones on Linux too: what a handler does comes before what
// its caller does next, and package syscall tells the detector so for two ends in one process. On
// 386 and s390x Linux has one system call for all that sockets do.

func sysRead(fd uintptr, b []byte) (int, error)  { return plainRead(fd, b) }
func sysWrite(fd uintptr, b []byte) (int, error) { return plainWrite(fd, b) }
