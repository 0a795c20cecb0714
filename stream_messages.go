package ttrpc

import (
	"context"
	"errors"
	"io"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// burst is how many messages a sender writes itself without receiving any; further ones are left to
// another goroutine. A consumer that has waited so often without sending gains more from a reader
// that reads ahead.
const burst = 4

// consumer is what a stream's side has to say of the messages that it receives.
type consumer interface {
	// decode decodes a message.
	decode(data []byte, m any) error
	// takeAnswer decodes the Response that has ended the stream.
	takeAnswer(m any) error
	// interrupted returns why a consumer no longer waits for the next message, or nil.
	interrupted() error
}

// next returns these when it has no data and the stream no error.
var (
	errNothingYet = errors.New("ttrpc: nothing yet")
	errAnswered   = errors.New("ttrpc: answered")
)

// receive waits for the next message and has side decode it into m.
func (s *stream) receive(c *conn, side consumer, m any) error {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	if s.sent.Swap(0) > 0 {
		s.waits = 0
	}
	for {
		s.clearWake()
		data, err := s.next(c)
		switch err {
		case nil:
			err = side.decode(data, m)
			s.release(c)
			return err
		case errAnswered:
			return side.takeAnswer(m)
		case errNothingYet:
			if err := side.interrupted(); err != nil && !s.isEnded() {
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
	c.tell(s, s.want()).Flush(false)
	if s.waits++; s.waits <= burst {
		c.readFor(s)
	}
	<-s.ready
}

// next returns the data of the next Data frame, valid until release. With none at hand it returns
// errNothingYet, or how the stream ended: io.EOF, its error,
// or errAnswered when there is a reply. The caller holds recvMu.
func (s *stream) next(c *conn) ([]byte, error) {
	for {
		s.release(c) // where a message's own Unmarshal has panicked, nobody has
		if s.cur == nil {
			if err := s.refill(); err != nil {
				return nil, err
			}
		}
		raw := s.cur.Bytes()[s.off:]
		h := wire.ParseHeader(raw)
		s.off += wire.HeaderLen + int(h.Length)
		s.lastRecv.Store(int64(transport.Clock()))
		if h.Flags&wire.FlagNoData == 0 {
			return raw[wire.HeaderLen : wire.HeaderLen+int(h.Length)], nil
		}
	}
}

// refill takes the first buffer of the inbox.
func (s *stream) refill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur, s.off = s.inbox.Pop(), 0; s.cur != nil {
		return nil
	}
	switch {
	case s.state == recvOpen:
		return errNothingYet
	case s.state == recvReplied:
		return errAnswered
	case s.err != nil:
		return s.err
	}
	return io.EOF
}

// release lets go of the data that next gave out, and of its buffer with the last.
// The caller holds recvMu.
func (s *stream) release(c *conn) {
	if s.cur == nil || s.off < s.cur.Len() {
		return
	}
	n := s.cur.Len()
	s.cur.Free()
	s.cur = nil
	c.tell(s, s.taken(n)).Flush(false)
	c.ease()
}

// errNotYet is what post says of a message for which there is no room yet: the peer does not take
// it, or others have filled the backlog.
var errNotYet = errors.New("ttrpc: no room yet")

// sender is what a stream's side does with the messages that it sends.
type sender interface {
	// post takes a frame and posts it, or returns errNotYet and leaves the frame to its caller.
	post(f *wire.Frame) (transport.Unwritten, error)
}

// hasRoomLocked reports whether a message may be posted now. The conn's lock is held.
func (s *stream) hasRoomLocked(c *conn) bool { return !s.outgoing.isShut() && c.t.HasStreamSpace() }

// transmit takes f and posts it once the backlog has space and the peer lets it.
func (s *stream) transmit(ctx context.Context, c *conn, side sender, f *wire.Frame) (transport.Unwritten, error) {
	for {
		err := c.t.WaitStreamSpace(ctx)
		if err == nil {
			posted, err := side.post(f)
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
// row fills the next write meanwhile.
func (s *stream) flushMessage(posted transport.Unwritten, mayBlock bool) {
	if s.sent.Add(1) > burst {
		posted.FlushLater()
	} else {
		posted.Flush(mayBlock)
	}
}
