package conn

import (
	"context"
	"errors"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// burst is how many messages a server's handler writes itself without receiving any; further ones
// are left to another goroutine. A consumer that has waited so often without sending gains more
// from a reader that reads ahead.
const burst = 4

// errNotYet is what post says of a message for which there is no room yet: the peer does not take
// it, or others have filled the backlog.
var errNotYet = errors.New("ttrpc: no room yet")

// Sender is what a stream's side does with the frames that it sends.
type Sender interface {
	// Link returns the stream's connection.
	Link() *Conn
	// RefuseLocked says why the stream sends nothing more, or nil. last says that it is to send its
	// last frame. The Conn's lock is held.
	RefuseLocked(last bool) error
	// PostLocked takes a frame of the stream and posts it. The Conn's lock is held.
	PostLocked(f *wire.Frame) (transport.Unwritten, error)
}

// Send takes the frame of a message, posts it once the backlog has space and the peer lets it, and
// flushes it, or has that done.
func (s *Stream) Send(ctx context.Context, side Sender, f *wire.Frame) error {
	size := f.Len()
	posted, err := s.transmit(ctx, side, f)
	if err == nil {
		s.flushMessage(posted, size)
	}
	return err
}

// SendWritten is Send that returns when the message is written: a process that ends then takes
// nothing along. When ctx ends first the message is posted, and the stream ends with ctx anyway.
func (s *Stream) SendWritten(ctx context.Context, side Sender, f *wire.Frame) error {
	posted, err := s.transmit(ctx, side, f)
	if err != nil {
		return err
	}
	s.sent.Add(1)
	posted.Flush(ctx.Done() == nil)
	if t := side.Link().t; t.Unwritten() > 0 {
		_ = t.WaitWritten(ctx, t.Posted())
	}
	return nil
}

// PostLast takes the stream's last frame and posts it, whatever room there is.
func (s *Stream) PostLast(side Sender, f *wire.Frame) (posted transport.Unwritten, err error) {
	return s.post(side, f)
}

// post takes f and posts it, as long as the stream sends: the check and the post are one step under
// the Conn's lock. Without room for a message it returns errNotYet, and leaves f to its caller.
func (s *Stream) post(side Sender, f *wire.Frame) (posted transport.Unwritten, err error) {
	c, last := side.Link(), f.IsLast()
	f.SetStream(s.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := side.RefuseLocked(last); err != nil {
		f.Free()
		return posted, err
	}
	if !last && !s.hasRoomLocked(c) {
		return posted, errNotYet
	}
	s.outgoing.Count(f.Len())
	return side.PostLocked(f)
}

// hasRoomLocked reports whether a message may be posted now. The Conn's lock is held.
func (s *Stream) hasRoomLocked(c *Conn) bool { return !s.outgoing.IsShut() && c.t.HasStreamSpace() }

// transmit takes f and posts it once the backlog has space and the peer lets it.
func (s *Stream) transmit(ctx context.Context, side Sender, f *wire.Frame) (transport.Unwritten, error) {
	c := side.Link()
	for {
		err := c.t.WaitStreamSpace(ctx)
		if err == nil {
			posted, err := s.post(side, f)
			if err != errNotYet {
				return posted, err
			}
		}
		if err == nil {
			err = c.awaitWindow(ctx, s)
		}
		if err != nil {
			f.Free()
			return transport.Unwritten{}, err
		}
	}
}

// flushMessage writes a message that the stream has sent, or has it written: who sends many in a
// row fills the next write meanwhile. One that is worth a write of its own is not worth a switch of
// goroutines.
func (s *Stream) flushMessage(posted transport.Unwritten, size int) {
	if row := s.sent.Add(1) > burst; row && size <= wire.SharedFrame {
		posted.FlushLater()
	} else {
		posted.Flush(false)
	}
}
