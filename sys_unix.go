//go:build unix && (!linux || race)

package ttrpc

import "syscall"

// Under the race detector these are the ones on Linux too: what a handler does comes before what its caller does next,
// and package syscall tells the detector so for two ends in one process.

func sysRead(fd uintptr, b []byte) (int, error)  { return syscall.Read(int(fd), b) }
func sysWrite(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
