package serverconn

import (
	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Begin puts a call in flight that the client has begun, whose request costs so many bytes. closed
// says that no call begins any more, and refusal that this one is beyond the limits.
func (c *Conn) Begin(id uint32, call Call, cost int) (closed bool, refusal string) {
	c.Lock()
	defer c.Unlock()
	if c.StateLocked() != conn.Open || c.server.IsDone() {
		return true, ""
	}
	if refusal = c.handlers.Begin(cost); refusal != "" {
		return false, refusal
	}
	c.RegisterLocked(id, call)
	c.lastID = max(c.lastID, id)
	return false, ""
}

// Finish posts the answer of a call whose handler has returned, unless somebody has answered for
// it. The handler counts no more from then on: others may write the answer at once, and whoever has
// it may make the next call.
func (c *Conn) Finish(id uint32, cost int, f *wire.Frame) (posted transport.Unwritten) {
	f.SetStream(id)
	c.Lock()
	defer c.Unlock()
	c.doneLocked(cost)
	if c.ClaimLocked(id) != nil { // it is this call, for an id is used once
		posted, _ = c.PostAnswerLocked(f) // one that has failed fails the connection itself
	} else {
		f.Free()
	}
	c.CloseIfDoneLocked()
	if c.StateLocked() != conn.Open {
		c.server.Advanced()
	}
	return posted
}

// PostAnswerLocked posts a Response or Data. The connection's first one says that this server knows
// extensions. It needs the lock. Its error is what calls return on a connection that has ended.
func (c *Conn) PostAnswerLocked(f *wire.Frame) (transport.Unwritten, error) {
	if !c.marked && c.Extensions().Used() {
		f.SetFlag(wire.FlagExtensions)
	}
	c.marked = true
	posted, err := c.PostLocked(f)
	if err != nil {
		err = callerr.Closed(err)
	}
	return posted, err
}

// Answer sends a Response for an id that is no call's any more. The caller, who reads, does not
// write: another goroutine does.
func (c *Conn) Answer(id uint32, f *wire.Frame) {
	f.SetStream(id)
	c.Lock()
	posted, err := c.PostAnswerLocked(f)
	c.Unlock()
	if err == nil {
		posted.FlushLater()
	}
}

// NoteAnswered says that a call was claimed and answered by another than its handler: a connection
// that drains closes, if that was its last call.
func (c *Conn) NoteAnswered() {
	c.Lock()
	defer c.Unlock()
	c.CloseIfDoneLocked()
	c.server.Advanced()
}

// ReadingEnded says that nobody reads the connection any more, nor will: what its own goroutine has
// counted for is over.
func (c *Conn) ReadingEnded() {
	c.Lock()
	defer c.Unlock()
	c.doneLocked(0)
}

// doneLocked says that a handler has returned, whose request has cost so many bytes, or the
// connection's goroutine.
func (c *Conn) doneLocked(cost int) {
	if c.handlers.End(cost) {
		c.server.FreeSlot()
	}
}

// RunningLocked is how many handlers have not returned. It needs the lock.
func (c *Conn) RunningLocked() int { return c.handlers.Running() }

// RequestsLocked is how many bytes the requests of these handlers cost. It needs the lock.
func (c *Conn) RequestsLocked() int { return c.handlers.Bytes() }
