package conn

import (
	"context"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// take puts Data into its stream, if there is room.
func (c *Conn) take(s *Stream, in *transport.Inbound) bool {
	ok, due := s.half.Push(in)
	posted := c.tell(s, due)
	if c.inflow.Fills() {
		c.restrainAll(posted)
	} else {
		posted.FlushLater()
	}
	return ok
}

// restrainAll puts all streams under control, behind a frame that was posted. The reader writes the
// limits itself, where that can't block it: before another goroutine had its turn it could read for
// ten milliseconds, more than there is room for.
func (c *Conn) restrainAll(posted transport.Unwritten) {
	for _, s := range c.streams() {
		posted = c.Restrain(s, posted)
	}
	c.role.RestrainNew(posted).Flush(false)
}

// Ease tells, where the connection's buffer is no longer crowded, that new streams may send.
func (c *Conn) Ease() {
	if c.inflow.Eases() {
		c.role.RestrainNew(transport.Unwritten{}).FlushLater()
	}
}

// Restrain puts a stream under control where the connection's buffer is crowded, behind a frame
// that was posted.
func (c *Conn) Restrain(s *Stream, posted transport.Unwritten) transport.Unwritten {
	if !c.inflow.IsCrowded() {
		return posted
	}
	c.mu.Lock()
	posted = c.RestrainLocked(s, posted)
	c.mu.Unlock()
	return posted
}

// RestrainLocked is Restrain for who has the lock, which it needs.
func (c *Conn) RestrainLocked(s *Stream, posted transport.Unwritten) transport.Unwritten {
	if !c.inflow.IsCrowded() {
		return posted
	}
	return c.tellLocked(s, s.half.Restrain(), posted)
}

// tell sends a limit to the sender of a stream that is in flight.
func (c *Conn) tell(s *Stream, l flow.Limit) (posted transport.Unwritten) {
	if !l.Due {
		return posted
	}
	c.mu.Lock()
	posted = c.tellLocked(s, l, posted)
	c.mu.Unlock()
	return posted
}

func (c *Conn) tellLocked(s *Stream, l flow.Limit, posted transport.Unwritten) transport.Unwritten {
	if l.Due && c.IsLiveLocked(s) {
		posted, _ = c.t.Post(wire.WindowFrame(s.id, l.Bytes)) // a failure is the connection's
	}
	return posted
}

// FirstLimitLocked is with which limit the peer's streams begin: none may send while the budget is
// crowded, before its consumer waits for a message. It needs the lock, by which the last to tell it
// knows what holds.
func (c *Conn) FirstLimitLocked() uint64 {
	if c.inflow.IsCrowded() {
		return 0
	}
	return flow.NoLimit
}

// handleWindow takes a limit for what a stream sends.
func (c *Conn) handleWindow(in *transport.Inbound) {
	limit, ok := wire.ParseWindow(in.Data())
	if !ok {
		return
	}
	c.mu.Lock()
	if call := c.calls[in.Stream]; call != nil {
		if s := call.Receiver(); s != nil {
			s.outgoing.Raise(limit)
		}
	}
	c.mu.Unlock()
}

// awaitWindow waits until a stream may send, or is over.
func (c *Conn) awaitWindow(ctx context.Context, s *Stream) error {
	for {
		moved, firstMoved := c.windowChanges(s)
		if moved == nil {
			return nil
		}
		select {
		case <-moved:
		case <-firstMoved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// windowChanges returns what to wait for where a stream may not send, and nil where it may, or is
// over.
func (c *Conn) windowChanges(s *Stream) (moved, firstMoved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.outgoing.IsShut() || !c.IsLiveLocked(s) {
		return nil, nil
	}
	return s.outgoing.Changes()
}
