//go:build !unix

package transport

import "syscall"

// isStream is true here: these systems have no unixpacket sockets.
func isStream(syscall.RawConn) bool { return true }
