package ttrpc

import (
	"context"
	"net"

	"github.com/containerd/ttrpc/internal/callctx"
)

// servedConn is a server's connection, as a handler's context knows it.
type servedConn interface {
	handshakeData() any // written before the first call
	ends() net.Conn     // whose addresses are those of both ends
}

type callKey struct{}

// connOf is the connection of a handler's context; nil for any other.
func connOf(ctx context.Context) servedConn {
	conn, _ := ctx.Value(callctx.OwnerKey{}).(servedConn)
	return conn
}

// HandshakeData returns, in a handler, what the server's [Handshaker] returned beside the
// connection, such as the peer's credentials ([*UnixCredentials] for the UnixSocketRequire
// functions).
// It is nil without a handshaker.
func HandshakeData(ctx context.Context) any {
	if conn := connOf(ctx); conn != nil {
		return conn.handshakeData()
	}
	return nil
}

// RemoteAddr returns, in a handler, the address of the connection's other end. It is nil where ctx
// is not a handler's, and may have no text: clients of unix sockets are unnamed as a rule.
func RemoteAddr(ctx context.Context) net.Addr {
	if conn := connOf(ctx); conn != nil {
		return conn.ends().RemoteAddr()
	}
	return nil
}

// LocalAddr returns, in a handler, the address of the connection's own end. It is nil where ctx is
// not a handler's.
func LocalAddr(ctx context.Context) net.Addr {
	if conn := connOf(ctx); conn != nil {
		return conn.ends().LocalAddr()
	}
	return nil
}

// callContext is the context of one call that has more to it than its connection: a deadline,
// metadata, an end of its own.
type callContext struct {
	callctx.Context
	md MD
}

// Value implements [context.Context].
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case metadataKey:
		if c.md != nil { // or else Serve's context may have some
			return c.md
		}
	case callKey:
		return c
	}
	return c.Context.Value(key)
}

// callContexts makes those of calls.
var callContexts callctx.Pool[callContext]
