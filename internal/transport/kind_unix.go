//go:build unix

package transport

import "syscall"

// isStream reports whether a descriptor is a stream of bytes: a SOCK_STREAM socket, or none at all.
func isStream(raw syscall.RawConn) bool {
	stream := true
	err := raw.Control(func(fd uintptr) {
		typ, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TYPE)
		stream = err != nil || typ == syscall.SOCK_STREAM
	})
	return err != nil || stream
}
