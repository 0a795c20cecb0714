package conn

import (
	"github.com/containerd/ttrpc/internal/notify"
	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// reading is how a connection is read. All but the first field belongs to the one who reads.
type reading struct {
	reader   reader.Reader
	may      reader.May     // while he handles a frame
	consumer notify.Delayed // of the last large messages that he has read, if that is not woken yet
}

// ReadLoop has the caller be the loop until the connection has ended, or leave says so. inside says
// that the caller has the reader's role already, which another loop may have had before it.
func (c *Conn) ReadLoop(inside bool, leave func() bool) (ended bool) {
	return c.reading.reader.Loop(inside, leave)
}

// ReadFor has the consumer of a stream, or the caller of a unary call, read for himself while the
// next frame is likely to come at once. It returns when there is something for s,
// or when the loop does better.
func (c *Conn) ReadFor(s *Stream) {
	c.readUntil(reader.ByCaller, func() bool { return s.half.HasWake() })
}

// ReadAsWorker has a worker that is free read until done, likewise.
func (c *Conn) ReadAsWorker(done func() bool) { c.readUntil(reader.ByWorker, done) }

// ReadNow reads what has come by now, unless another one reads.
func (c *Conn) ReadNow() {
	if c.t.CanTry() {
		c.reading.reader.ReadNow(reader.ByWorker)
	}
}

// readUntil reads until done, where one reader that reads ahead for all does no better.
func (c *Conn) readUntil(as reader.State, done func() bool) {
	if c.t.CanTry() && !(c.t.InBatches() && c.isBusy()) {
		c.reading.reader.Until(as, done)
	}
}

// frames is a Conn as its reader sees it.
type frames Conn

// open says that the connection can be read, by its loop first.
func (f *frames) open() { f.reading.reader.Begin(f.t, f) }

// Handle implements [reader.Frames].
func (f *frames) Handle(in *transport.Inbound, may reader.May) bool {
	f.reading.may = may
	return f.role.Handle(in)
}

// Handled implements [reader.Frames].
func (f *frames) Handled() (soon bool) {
	f.reading.consumer.WakeStale()
	return f.role.Handled()
}

// RecvFailed implements [reader.Frames].
func (f *frames) RecvFailed(err error) {
	f.reading.consumer.Wake()
	f.role.RecvFailed(err)
}

// MayWait is asked before a wait while a frame is handled. It returns false where the one who reads
// may not wait, for nobody would read meanwhile: Handle returns false then.
func (c *Conn) MayWait() bool {
	if c.reading.may&reader.Wait == 0 {
		return false
	}
	c.reading.consumer.Wake()
	c.role.Handled()
	return true
}

// MayRun is asked about a call that was read: here says that the one who reads may run it and read
// on, instead that he may run it and leave the reading to others.
func (c *Conn) MayRun() (here, instead bool) {
	c.reading.consumer.Wake() // the call may take its time
	return c.reading.may&reader.RunHere != 0, c.reading.may&reader.RunInstead != 0
}

// wakeWith wakes the consumer of a stream that has got a message of so many bytes. With a large one
// the loop may do that a little later: before it waits or lets a call run, or behind a read that
// has brought no more.
func (c *Conn) wakeWith(s *Stream, bytes int) {
	late := bytes > wire.SharedFrame && c.reading.may&reader.WakeLate != 0 && c.t.CanTry()
	if !late || !c.reading.consumer.Delay(s.half.Ready(), bytes) {
		s.half.Wake()
	}
}
