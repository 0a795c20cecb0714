package ttrpc

import (
	"context"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

const (
	sharedStallTimeout = time.Second           // where other calls wait for the same reader
	stallGrace         = 50 * time.Millisecond // awake, before a stream is given up as stalled
)

// handleData gives Data to its stream. It returns false as the role's handle does.
func (c *conn) handleData(in *transport.Inbound) bool {
	s, live := c.lookup(in.Stream)
	if !c.role.takesData(s, live, in) {
		return true
	}
	if !c.deliver(s, in) {
		return false
	}
	if in.Flags&wire.FlagRemoteClosed != 0 {
		c.role.dataEnded(s)
	}
	return true
}

// deliver puts Data into its stream. It is the one place where a reader waits for the application.
func (c *conn) deliver(s *stream, in *transport.Inbound) bool {
	if in.Flags&wire.FlagNoData != 0 {
		s.half.Pass(len(in.Raw))
		return true
	}
	if !c.take(s, in) {
		if !c.mayWait() {
			return false
		}
		c.makeRoom(s, in)
	}
	c.wakeWith(s, len(in.Raw))
	return true
}

// makeRoom waits until a frame has been put into its stream: while the buffers are full and the
// consumers of the streams that fill them still take messages. One that has taken nothing for too
// long has stalled, and its stream is failed to make room.
func (c *conn) makeRoom(s *stream, in *transport.Inbound) {
	fl := &c.inflow
	fl.BeginWait()
	defer fl.EndWait()
	var suspect idle
	for !fl.IsClosed() && !c.take(s, in) {
		longest, left := c.longestIdle(c.holders(s, in))
		switch {
		case longest.s == nil:
			fl.Await()
		case left > stallGrace:
			fl.AwaitFor(left - stallGrace)
		case longest == suspect:
			c.role.failStalled(suspect.s)
		default:
			// The end counts only awake: a process that stood still (stopped, frozen) has lost time that its
			// consumers never had.
			suspect = longest
			fl.AwaitFor(stallGrace)
		}
	}
}

// holders are the streams whose consumers could make room for a frame.
func (c *conn) holders(s *stream, in *transport.Inbound) []*stream {
	if c.inflow.FillsConn(len(in.Raw)) {
		return c.streams()
	}
	return []*stream{s}
}

// idle is a stream whose consumer leaves messages lying.
type idle struct {
	s     *stream       // nil: there is none
	since time.Duration // on the clock
}

// longestIdle returns the stream that is to be given up first, and how much longer it may be idle.
func (c *conn) longestIdle(streams []*stream) (longest idle, left time.Duration) {
	now := transport.Clock()
	for _, s := range streams {
		since, ok := s.half.IdleSince()
		timeout := c.idleTimeout(s)
		if l := timeout - (now - since); ok && timeout > 0 && (longest.s == nil || l < left) {
			longest, left = idle{s, since}, l
		}
	}
	return longest, left
}

// idleTimeout is how long a stream's consumer may leave messages lying; 0 is for ever. One that is
// alone in flight holds up nobody.
func (c *conn) idleTimeout(s *stream) time.Duration {
	if c.isSole(s.id) {
		return c.soleStallTimeout
	}
	return sharedStallTimeout
}

// take puts Data into its stream, if there is room.
func (c *conn) take(s *stream, in *transport.Inbound) bool {
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
func (c *conn) restrainAll(posted transport.Unwritten) {
	for _, s := range c.streams() {
		posted = c.restrain(s, posted)
	}
	c.role.restrainNew(posted).Flush(false)
}

// ease tells, where the connection's buffer is no longer crowded, that new streams may send.
func (c *conn) ease() {
	if c.inflow.Eases() {
		c.role.restrainNew(transport.Unwritten{}).FlushLater()
	}
}

// restrain puts a stream under control where the connection's buffer is crowded, behind a frame
// that was posted.
func (c *conn) restrain(s *stream, posted transport.Unwritten) transport.Unwritten {
	if !c.inflow.IsCrowded() {
		return posted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restrainLocked(s, posted)
}

// restrainLocked is restrain behind a frame that was posted.
func (c *conn) restrainLocked(s *stream, posted transport.Unwritten) transport.Unwritten {
	if !c.inflow.IsCrowded() {
		return posted
	}
	return c.tellLocked(s, s.half.Restrain(), posted)
}

// tell sends a limit to the sender of a stream that is in flight.
func (c *conn) tell(s *stream, l flow.Limit) (posted transport.Unwritten) {
	if !l.Due {
		return posted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tellLocked(s, l, posted)
}

func (c *conn) tellLocked(s *stream, l flow.Limit, posted transport.Unwritten) transport.Unwritten {
	if l.Due && c.isLiveLocked(s) {
		posted, _ = c.t.Post(wire.WindowFrame(s.id, l.Bytes)) // a failure is the connection's
	}
	return posted
}

// handleWindow takes a limit for what a stream sends.
func (c *conn) handleWindow(in *transport.Inbound) {
	limit, ok := wire.ParseWindow(in.Data())
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[in.Stream]
	if call == nil {
		return
	}
	if s := call.receiver(); s != nil {
		s.outgoing.Raise(limit)
	}
}

// awaitWindow waits until a stream may send, or is over.
func (c *conn) awaitWindow(ctx context.Context, s *stream) error {
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
func (c *conn) windowChanges(s *stream) (moved, firstMoved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.outgoing.IsShut() || !c.isLiveLocked(s) {
		return nil, nil
	}
	return s.outgoing.Changes()
}
