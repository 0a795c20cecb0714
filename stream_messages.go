package ttrpc

import (
	"context"
	"errors"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// burst is how many messages a sender writes itself without receiving any; further ones are left to
// another goroutine. A consumer that has waited so often without sending gains more from a reader
// that reads ahead.
const burst = 4

// consumer is what a stream's side has to say of the messages that it receives.
type consumer interface {
	// link returns the stream's connection.
	link() *conn
	// decode decodes a message, which f holds.
	decode(f *wire.Frame, data []byte, m any) error
	// takeAnswer decodes the Response that has ended the stream.
	takeAnswer(m any) error
	// interrupted returns why a consumer no longer waits for the next message, or nil.
	interrupted() error
}

// receive waits for the next message and has side decode it into m.
func (s *stream) receive(side consumer, m any) error {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	c := side.link()
	if s.sent.Swap(0) > 0 {
		s.waits = 0
	}
	for {
		s.half.ClearWake()
		s.release(c) // where a message's own Unmarshal has panicked, nobody has
		f, data, err := s.half.Next()
		switch err {
		case nil:
			err = side.decode(f, data, m)
			s.release(c)
			return err
		case recv.ErrAnswered:
			return side.takeAnswer(m)
		case recv.ErrNothingYet:
			if err := side.interrupted(); err != nil && !s.half.IsEnded() {
				return err
			} else if err == nil {
				s.await(c)
			}
		default:
			return err
		}
	}
}

// await waits for something to happen to the stream.
func (s *stream) await(c *conn) {
	c.tell(s, s.half.Want()).Flush(false)
	if s.waits++; s.waits <= burst {
		c.readFor(s)
	}
	<-s.half.Ready()
}

// release lets go of the last message that was taken. The caller holds recvMu.
func (s *stream) release(c *conn) {
	if room, due := s.half.Release(); room {
		c.tell(s, due).Flush(false)
		c.ease()
	}
}

// errNotYet is what post says of a message for which there is no room yet: the peer does not take
// it, or others have filled the backlog.
var errNotYet = errors.New("ttrpc: no room yet")

// sender is what a stream's side does with the messages that it sends.
type sender interface {
	link() *conn
	// encoder finds out how a message is encoded.
	encoder(m any) (codec.Encoder, error)
	// marshalError is what SendMsg returns for an error of the encoding.
	marshalError(err error) error
	// refuseLocked says why the stream sends nothing more, or nil. last says that it is to send its
	// last frame. The conn's lock is held.
	refuseLocked(last bool) error
	// postLocked takes a frame of the stream and posts it. The conn's lock is held.
	postLocked(f *wire.Frame) (transport.Unwritten, error)
}

// send is SendMsg of both sides. mayBlock is for who can't be called off anyway: he writes himself.
func (s *stream) send(ctx context.Context, side sender, m any, mayBlock bool) error {
	e, err := side.encoder(m)
	if err != nil {
		return err
	}
	f, err := dataFrame(e, 0, side.link().sendMax)
	if err != nil {
		return side.marshalError(err)
	}
	sizes := payloadSizes{e.Size(), f.Len()}
	posted, err := s.transmit(ctx, side, f)
	if err != nil {
		return err
	}
	s.flushMessage(posted, sizes.frame, mayBlock)
	s.stats.out(m, sizes)
	return nil
}

// post takes f and posts it, as long as the stream sends: the check and the post are one step under
// the conn's lock. Without room for a message it returns errNotYet, and leaves f to its caller.
func (s *stream) post(side sender, f *wire.Frame) (posted transport.Unwritten, err error) {
	c, last := side.link(), f.IsLast()
	f.SetStream(s.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := side.refuseLocked(last); err != nil {
		f.Free()
		return posted, err
	}
	if !last && !s.hasRoomLocked(c) {
		return posted, errNotYet
	}
	s.outgoing.Count(f.Len())
	if posted, err = side.postLocked(f); err != nil {
		return posted, asClosed(err)
	}
	return posted, nil
}

// hasRoomLocked reports whether a message may be posted now. The conn's lock is held.
func (s *stream) hasRoomLocked(c *conn) bool { return !s.outgoing.IsShut() && c.t.HasStreamSpace() }

// transmit takes f and posts it once the backlog has space and the peer lets it.
func (s *stream) transmit(ctx context.Context, side sender, f *wire.Frame) (transport.Unwritten, error) {
	c := side.link()
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
func (s *stream) flushMessage(posted transport.Unwritten, size int, mayBlock bool) {
	row := s.sent.Add(1) > burst
	if row && size <= wire.SharedFrame {
		posted.FlushLater()
	} else {
		posted.Flush(mayBlock && !row)
	}
}
