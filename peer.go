package ttrpc

import (
	"fmt"
	"net"
)

// peerOf says in a log who is at the other end of a connection: the process,
// where the system tells that, and else the address.
func peerOf(netConn net.Conn) string {
	if uc, ok := netConn.(*net.UnixConn); ok {
		if raw, err := uc.SyscallConn(); err == nil {
			if cred, err := peerCredentials(raw); err == nil {
				return fmt.Sprintf("uid=%d gid=%d pid=%d", cred.Uid, cred.Gid, cred.Pid)
			}
		}
	}
	if addr := netConn.RemoteAddr(); addr != nil {
		return addr.String()
	}
	return fmt.Sprintf("a %T", netConn)
}
