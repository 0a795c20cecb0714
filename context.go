package ttrpc

import (
	"context"
	"net"
)

// HandshakeData returns, in a handler, what the server's [Handshaker] returned beside the
// connection, such as the peer's credentials ([*UnixCredentials] for the UnixSocketRequire
// functions).
// It is nil without a handshaker.
func HandshakeData(ctx context.Context) any {
	if sc := connOf(ctx); sc != nil {
		return sc.handshake // written before the first call
	}
	return nil
}

// RemoteAddr returns, in a handler, the address of the connection's other end. It is nil where ctx
// is not a handler's, and may have no text: clients of unix sockets are unnamed as a rule.
func RemoteAddr(ctx context.Context) net.Addr {
	if sc := connOf(ctx); sc != nil {
		return sc.conn.NetConn().RemoteAddr()
	}
	return nil
}

// LocalAddr returns, in a handler, the address of the connection's own end. It is nil where ctx is
// not a handler's.
func LocalAddr(ctx context.Context) net.Addr {
	if sc := connOf(ctx); sc != nil {
		return sc.conn.NetConn().LocalAddr()
	}
	return nil
}
