package conn

import (
	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/wire"
)

// ReadLoop has the caller be the loop until the connection has ended, or leave says so. inside says
// that the caller has the reader's role already, which another loop may have had before it.
func (c *Conn) ReadLoop(inside bool, leave func() bool) (ended bool) {
	if inside {
		c.role.Handled() // what that has left
	}
	return c.reader.Loop(inside, leave)
}

// ReadFor has the consumer of a stream, or the caller of a unary call, read for himself while the
// next frame is likely to come at once. It returns when there is something for s,
// or when the loop does better.
func (c *Conn) ReadFor(s *Stream) {
	c.readUntil(reader.ByCaller, func() bool { return s.half.HasWake() })
}

// ReadAsWorker has a worker that is free read until done, likewise.
func (c *Conn) ReadAsWorker(done func() bool) { c.readUntil(reader.ByWorker, done) }

// readUntil reads until done, where one reader that reads ahead for all does no better.
func (c *Conn) readUntil(as reader.State, done func() bool) {
	if c.t.CanTry() && !(c.t.InBatches() && c.isBusy()) {
		c.reader.Until(as, done)
	}
}

// wakeWith wakes the consumer of a stream that has got a message of so many bytes. With a large one
// the loop may do that a little later.
func (c *Conn) wakeWith(s *Stream, bytes int) {
	if bytes <= wire.SharedFrame || !c.reader.DelayWake(s.half.Ready(), bytes) {
		s.half.Wake()
	}
}

// MayWait is asked before a wait while a frame is handled. It returns false where the one who reads
// may not wait: Handle returns false then.
func (c *Conn) MayWait() bool { return c.reader.Waits() }

// MayRun is asked about a call that was read: here says that the one who reads may run it and read
// on, instead that he may run it and leave the reading to others.
func (c *Conn) MayRun() (here, instead bool) { return c.reader.MayRun() }
