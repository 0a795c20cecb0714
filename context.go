package ttrpc

import (
	"context"
	"net"
	"sync"

	"github.com/containerd/ttrpc/internal/callctx"
)

// connContext is the parent of the contexts of all calls on a connection:
// it ends with the connection, and knows it.
type connContext struct {
	context.Context
	conn servedConn
}

// servedConn is a server's connection, as a handler's context knows it.
type servedConn interface {
	handshakeData() any
	ends() net.Conn // whose addresses are those of both ends
}

type (
	handshakeKey struct{}
	connKey      struct{}
	callKey      struct{}
)

// Value implements [context.Context].
func (c *connContext) Value(key any) any {
	switch key.(type) {
	case handshakeKey:
		return c.conn.handshakeData() // written before the first call
	case connKey:
		return c.conn
	}
	return c.Context.Value(key)
}

// HandshakeData returns, in a handler, what the server's [Handshaker] returned beside the
// connection, such as the peer's credentials ([*UnixCredentials] for the UnixSocketRequire
// functions).
// It is nil without a handshaker.
func HandshakeData(ctx context.Context) any { return ctx.Value(handshakeKey{}) }

// RemoteAddr returns, in a handler, the address of the connection's other end. It is nil where ctx
// is not a handler's, and may have no text: clients of unix sockets are unnamed as a rule.
func RemoteAddr(ctx context.Context) net.Addr {
	if conn, ok := ctx.Value(connKey{}).(servedConn); ok {
		return conn.ends().RemoteAddr()
	}
	return nil
}

// LocalAddr returns, in a handler, the address of the connection's own end. It is nil where ctx is
// not a handler's.
func LocalAddr(ctx context.Context) net.Addr {
	if conn, ok := ctx.Value(connKey{}).(servedConn); ok {
		return conn.ends().LocalAddr()
	}
	return nil
}

// callContext is the context of one call that has more to it than its connection: a deadline,
// metadata, an end of its own.
type callContext struct {
	callctx.Context
	md         MD
	inShutdown int // how many goroutines wait in Shutdown with it; guarded by the conn's lock
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

// contextBatch is contexts that are allocated at once: one that a user keeps keeps the others, too.
type contextBatch struct {
	used int
	all  [24]callContext
}

// spareContexts has the batches that are not used up.
var spareContexts sync.Pool

// newCallContext takes a context that no call has had: users may keep theirs.
func newCallContext() *callContext {
	b, _ := spareContexts.Get().(*contextBatch)
	if b == nil {
		b = new(contextBatch)
	}
	c := &b.all[b.used]
	if b.used++; b.used < len(b.all) {
		spareContexts.Put(b)
	}
	return c
}
