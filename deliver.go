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
		s.pass(len(in.Raw))
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
	var suspect *stream
	var seen int64 // when suspect last took a message
	for !fl.IsClosed() && !c.take(s, in) {
		slowest, left := c.mostStalled(c.holders(s, in))
		switch {
		case slowest == nil:
			fl.Await()
		case left > stallGrace:
			fl.AwaitFor(left - stallGrace)
		case slowest == suspect && slowest.lastRecv.Load() == seen:
			c.role.failStalled(slowest)
		default:
			// The end counts only awake: a process that stood still (stopped, frozen) has lost time that its
			// consumers never had.
			suspect, seen = slowest, slowest.lastRecv.Load()
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

// mostStalled returns the stream whose consumer has left messages lying for longest, and how much
// longer it may. A stream that is alone in flight holds up nobody, so it may for long, or for ever.
// The stream is nil when there is none to give up.
func (c *conn) mostStalled(streams []*stream) (slowest *stream, left time.Duration) {
	for _, s := range streams {
		timeout := sharedStallTimeout
		if c.isSole(s.id) {
			timeout = c.soleStallTimeout
		}
		if l, ok := s.stallLeft(timeout); ok && timeout > 0 && (slowest == nil || l < left) {
			slowest, left = s, l
		}
	}
	return slowest, left
}

// take puts Data into its stream, if there is room.
func (c *conn) take(s *stream, in *transport.Inbound) bool {
	ok, due := s.push(in)
	c.tell(s, due).FlushLater()
	if c.inflow.Fills() {
		for _, s := range c.streams() {
			c.restrain(s).FlushLater()
		}
		c.role.restrainNew()
	}
	return ok
}

// ease tells, where the connection's buffer is no longer crowded, that new streams may send.
func (c *conn) ease() {
	if c.inflow.Eases() {
		c.role.restrainNew()
	}
}

// restrain puts a stream under control where the connection's buffer is crowded.
func (c *conn) restrain(s *stream) (posted transport.Unwritten) {
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
	return c.tellLocked(s, s.restrain(), posted)
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
