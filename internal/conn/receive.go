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
	// TakeAnswer decodes the Response that has ended the stream, and returns how many bytes its
	// message has. The frame stays the caller's.
	TakeAnswer(reply *wire.Frame, m any) (size int, err error)
	// Interrupted returns why a consumer no longer waits for the next message, or nil.
	Interrupted() error
}

// Received is what Receive has taken. It is plain data.
type Received struct {
	Size, WireSize int  // bytes of the message, and of its frame
	First          bool // it is the first Data that was taken
	Last           bool // it is the Response, or there is no message: the error says what ended it
}

// Receive waits for the next message and has side decode it into m. After a Response that is a
// message every further one returns io.EOF, after one that is a failure that failure again.
func (s *Stream) Receive(side Consumer, m any) (got Received, err error) {
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
			got = Received{Size: len(data), WireSize: wire.HeaderLen + len(data), First: !s.taken}
			s.taken = true
			err = side.Decode(f, data, m)
			s.release(c)
			return got, err
		case recv.ErrAnswered:
			return s.takeAnswer(side, m)
		case recv.ErrNothingYet:
			if err := side.Interrupted(); err != nil && !s.half.IsEnded() {
				return Received{Last: true}, err
			} else if err == nil {
				s.await(c)
			}
		default:
			return Received{Last: true}, err
		}
	}
}

// takeAnswer has side decode the Response that has ended the stream.
func (s *Stream) takeAnswer(side Consumer, m any) (Received, error) {
	reply := s.half.TakeReply()
	defer reply.Free()
	size, err := side.TakeAnswer(reply, m)
	if err != nil {
		s.half.SetStatus(err)
	}
	return Received{Size: size, WireSize: reply.Len(), Last: true}, err
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
