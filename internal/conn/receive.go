package conn

import (
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/wire"
)

// Consumer is what a stream's side has to say of the messages that it receives.
type Consumer interface {
	// Link returns the stream's connection.
	Link() *Conn
	// Decode decodes a message, which f holds.
	Decode(f *wire.Frame, data []byte, m any) error
	// TakeAnswer decodes the Response that has ended the stream. The frame stays the caller's.
	TakeAnswer(reply *wire.Frame, m any) error
	// Interrupted returns why a consumer no longer waits for the next message, or nil.
	Interrupted() error
}

// Receive waits for the next message and has side decode it into m. After a Response that is a
// message every further one returns io.EOF, after one that is a failure that failure again.
func (s *Stream) Receive(side Consumer, m any) error {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	c := side.Link()
	if s.sent.Swap(0) > 0 {
		s.waits = 0
	}
	for {
		s.half.ClearWake()
		s.release(c) // where a message's own Unmarshal has panicked, nobody has
		f, data, err := s.half.Next()
		switch err {
		case nil:
			err = side.Decode(f, data, m)
			s.release(c)
			return err
		case recv.ErrAnswered:
			return s.takeAnswer(side, m)
		case recv.ErrNothingYet:
			if err := side.Interrupted(); err != nil && !s.half.IsEnded() {
				return err
			} else if err == nil {
				s.await(c)
			}
		default:
			return err
		}
	}
}

// takeAnswer has side decode the Response that has ended the stream.
func (s *Stream) takeAnswer(side Consumer, m any) error {
	reply := s.half.TakeReply()
	defer reply.Free()
	err := side.TakeAnswer(reply, m)
	if err != nil {
		s.half.SetStatus(err)
	}
	return err
}

// await waits for something to happen to the stream.
func (s *Stream) await(c *Conn) {
	c.tell(s, s.half.Want()).Flush(false)
	if s.waits++; s.waits <= burst {
		c.ReadFor(s)
	}
	<-s.half.Ready()
}

// release lets go of the last message that was taken. The caller holds recvMu.
func (s *Stream) release(c *Conn) {
	if room, due := s.half.Release(); room {
		c.tell(s, due).Flush(false)
		c.Ease()
	}
}
