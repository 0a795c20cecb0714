// Package serverconn is a server's connection, but for what calls mean: which of them are in flight
// and which handlers run, what the client is told of the connection, and how that ends.
package serverconn

import (
	"context"
	"net"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/conns"
)

// Conn is one connection. Init comes before all else.
type Conn struct {
	conn.Conn
	server   Server
	contexts callctx.Parent

	// The lock of Conn guards all below.
	handlers conns.Handlers[*callctx.Context]
	lastID   uint32 // the highest id of a call so far
	marked   bool   // the first Response or Data is posted
}

// Server is the server of a connection, a [conns.Set] as a rule.
type Server interface {
	// IsDone reports whether no further calls begin.
	IsDone() bool
	// FreeSlot says that nothing runs for the connection any more.
	FreeSlot()
	// Advanced says that it may have come to its next Stage.
	Advanced()
}

// Call is a call in flight.
type Call interface {
	conn.Call
	// Context is the call's own; nil where it has that of the connection.
	Context() *callctx.Context
}

// Init says on what the connection is made, and how many calls may run on it, with how many bytes
// of requests. Its own goroutine begins: base is the parent of its contexts, and owner theirs.
func (c *Conn) Init(netConn net.Conn, s Server, base context.Context, owner callctx.Owner, mostCalls, mostBytes int) {
	c.Conn.Init(netConn)
	c.server = s
	c.contexts.Init(base, owner)
	c.handlers.Init(mostCalls, mostBytes)
}

// Contexts is the parent of the contexts of its calls, and of its handshake.
func (c *Conn) Contexts() *callctx.Parent { return &c.contexts }

// End closes the connection at once, but for its net.Conn, and reports whether that is news: the
// first cause counts. Handlers learn of it by their contexts.
func (c *Conn) End(cause error) (first bool) {
	var streams []*conn.Stream
	if !c.Close(cause, callerr.Closed(cause), func(call conn.Call) {
		if s := call.Receiver(); s != nil {
			streams = append(streams, s)
		}
	}) {
		return false
	}
	c.contexts.End()
	for _, s := range streams {
		s.Wake()
	}
	if t := c.Transport(); t != nil {
		t.Stop(cause)
	}
	return true
}

// CloseNetConn closes the net.Conn, which the handshake may have made another.
func (c *Conn) CloseNetConn() {
	c.Lock()
	netConn := c.NetConn()
	c.Unlock()
	netConn.Close()
}
