package clientconn

import (
	"context"
	"errors"

	"github.com/containerd/ttrpc/internal/callerr"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// errStreamOver is what CloseSend meets on a stream that is no longer in flight.
var errStreamOver = errors.New("ttrpc: stream over")

// CloseSend says that a stream sends nothing more, and waits until all that was sent before is
// written. That it is over already is no error. side is the stream's.
func (c *Conn) CloseSend(ctx context.Context, s *conn.Stream, side conn.Sender) error {
	posted, err := s.PostLast(side, wire.EndFrame())
	if err == errStreamOver {
		return nil // the server has ended the stream, which may not be told any more
	}
	if err != nil {
		return err
	}
	posted.Flush(ctx.Done() == nil)
	// Another goroutine may be at it: what was sent is on its way when this returns,
	// even if the process ends.
	t := c.Transport()
	return t.WaitWritten(ctx, t.Posted())
}

// RefuseLocked is why a stream sends nothing more, or nil; ctx is the stream's. It refuses, too,
// what comes after the server's last frame: some servers crash on that. It needs the lock.
func (c *Conn) RefuseLocked(ctx context.Context, s *conn.Stream, last bool) (err error) {
	switch {
	case c.StateLocked() == conn.Closed:
		err = callerr.Closed(c.CauseLocked())
		if own := s.Failure(); callerr.NotSent(own) {
			err = own // the call has never begun, which says more
		}
	case s.IsSendClosedLocked():
		err = callerr.ErrStreamClosed
	case c.IsLiveLocked(s):
	case last:
		err = errStreamOver
	default:
		err = overError(ctx, s)
	}
	if last {
		s.CloseSendLocked()
	}
	return err
}

// overError is what a message meets on a stream that is over: the error that this side ended it
// with, or ErrStreamClosed after the server's end, of which its consumer learns more.
func overError(ctx context.Context, s *conn.Stream) error {
	if err := ctx.Err(); err != nil && !s.IsEnded() { // it is being given up for that
		return err
	}
	if err := s.Failure(); err != nil {
		return err
	}
	return callerr.ErrStreamClosed
}

// PostStreamLocked takes a further frame of a stream and posts it, and notes what End has to wait
// for. It needs the lock.
func (c *Conn) PostStreamLocked(s *conn.Stream, f *wire.Frame) (transport.Unwritten, error) {
	posted, err := c.PostLocked(f)
	switch {
	case err != nil && c.NeverSent(s):
		return posted, c.neverSent(err)
	case err != nil:
		return posted, callerr.Closed(err)
	}
	posted = c.greetLocked(s.ID(), posted)
	c.sentStream = c.Transport().Posted()
	return posted, nil
}
