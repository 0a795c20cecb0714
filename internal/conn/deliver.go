package conn

import (
	"time"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

const (
	sharedStallTimeout = time.Second           // where other calls wait for the same reader
	stallGrace         = 50 * time.Millisecond // awake, before a stream is given up as stalled
)

// HandleData gives Data to its stream. It returns false as the role's Handle does.
func (c *Conn) HandleData(in *transport.Inbound) bool {
	s, live := c.lookup(in.Stream)
	if !c.role.TakesData(s, live, in) {
		return true
	}
	if !c.deliver(s, in) {
		return false
	}
	if in.Flags&wire.FlagRemoteClosed != 0 {
		c.role.DataEnded(s)
	}
	return true
}

// deliver puts Data into its stream. It is the one place where a reader waits for the application.
func (c *Conn) deliver(s *Stream, in *transport.Inbound) bool {
	if in.Flags&wire.FlagNoData != 0 {
		s.half.Pass(len(in.Raw))
		return true
	}
	if !c.take(s, in) {
		if !c.MayWait() {
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
func (c *Conn) makeRoom(s *Stream, in *transport.Inbound) {
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
			c.role.FailStalled(suspect.s)
		default:
			// The end counts only awake: a process that stood still (stopped, frozen) has lost time that its
			// consumers never had.
			suspect = longest
			fl.AwaitFor(stallGrace)
		}
	}
}

// holders are the streams whose consumers could make room for a frame.
func (c *Conn) holders(s *Stream, in *transport.Inbound) []*Stream {
	if c.inflow.FillsConn(len(in.Raw)) {
		return c.streams()
	}
	return []*Stream{s}
}

// idle is a stream whose consumer leaves messages lying.
type idle struct {
	s     *Stream       // nil: there is none
	since time.Duration // on the clock
}

// longestIdle returns the stream that is to be given up first, and how much longer it may be idle.
func (c *Conn) longestIdle(streams []*Stream) (longest idle, left time.Duration) {
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
func (c *Conn) idleTimeout(s *Stream) time.Duration {
	if c.isSole(s.id) {
		return c.soleStallTimeout
	}
	return sharedStallTimeout
}
