package driver

import (
	"syscall"
	"time"
	"unsafe"
)

// monotonic reads CLOCK_MONOTONIC, which is one clock for all processes of a machine: a time that
// the server has noted can be compared with one of the client's. time.Now's is each process's own.
func monotonic() time.Duration {
	const clockMonotonic = 1
	var now syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	if errno != 0 {
		panic(errno) // has no failure that a correct call can meet
	}
	return time.Duration(now.Nano())
}
