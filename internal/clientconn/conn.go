// Package clientconn is a connection on which calls are made: which ids they get, how one of them
// ends, and what its server has said of those to come. It knows no messages of users and no
// statistics.
package clientconn

import (
	"context"
	"math"
	"net"
	"time"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/transport"
)

// Conn is a connection on which calls are made. Init comes before all else, then Open.
type Conn struct {
	conn.Conn
	owner      Owner
	maxRecv    int  // bytes of data accepted in a frame
	redialed   bool // calls that come too late are made on another connection
	coalescing bool // the reader has others leave the writing to it; the reader's

	// The lock of conn.Conn guards all below.
	highest     uint32           // no call in flight has a higher id: what a GoAway has left
	nextID      uint64           // odd; past math.MaxUint32 there is none left
	uncancelled []uint32         // ids of calls that were given up before the server was known
	firstLimit  *flow.FirstLimit // with which streams begin; nil: none
	sentStream  uint64           // bytes that were posted when a stream has last sent a message
}

// Owner is the client whose connection it is.
type Owner interface {
	// Fail has End called, where nobody has. The first cause counts. The lock is not held.
	Fail(cause error)
}

// Init says on what the connection is made, before the handshake, and for whom. redialed says that
// its owner makes calls that come too late on another one.
func (c *Conn) Init(netConn net.Conn, owner Owner, redialed bool) {
	c.Conn.Init(netConn)
	c.owner, c.redialed, c.nextID, c.highest = owner, redialed, 1, math.MaxUint32
}

// Open says that the handshake has returned netConn, of which nobody else knows yet. Read comes
// next, or End.
func (c *Conn) Open(netConn net.Conn, config *conn.Config) {
	c.maxRecv, config.OnFail = config.MaxRecv, c.writeFailed
	c.Lock()
	defer c.Unlock()
	c.OpenLocked(netConn, (*role)(c), config)
}

// Read reads until the connection has ended.
func (c *Conn) Read() { c.ReadLoop(true, func() bool { return false }) }

// End is the one end of a connection, which is closed: calls in flight end with ended, or as calls
// that were not sent. The first cause counts, and End reports whether this is it. With linger what
// streams have sent is written before, for as long as transport.LingerTimeout. The calls are
// returned.
func (c *Conn) End(cause, ended error, linger bool) (calls []conn.Call, first bool) {
	if !c.Close(cause, ended, func(call conn.Call) { calls = append(calls, call) }) {
		return nil, false
	}
	if !linger {
		c.Transport().Stop(cause)
	}
	for _, call := range calls {
		s := call.Receiver()
		if c.NeverSent(s) {
			s.CloseRecv(nil, c.neverSent(cause))
		} else {
			s.CloseRecv(nil, ended)
		}
	}
	if linger {
		c.writeStreams()
		c.Transport().Stop(cause)
	}
	c.NetConn().Close() // last, for it may take its time
	return calls, true
}

// writeStreams writes what streams have sent, in bounded time. The rest is lost.
func (c *Conn) writeStreams() {
	c.Lock()
	last := c.sentStream
	c.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), transport.LingerTimeout)
	defer cancel()
	_ = c.Transport().WaitWritten(ctx, last)
}

// writeFailed is called when a write has failed: nothing more goes out. The peer has closed then,
// and what it sent before that is still to be read, answers of calls that would otherwise fail for
// nothing: reading goes on to the end, for a bounded time.
func (c *Conn) writeFailed(err error) {
	if !transport.IsOrderly(err) {
		c.owner.Fail(err)
		return
	}
	time.AfterFunc(transport.LingerTimeout, func() { c.owner.Fail(err) })
}
