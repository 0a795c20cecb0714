package ttrpc

import (
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/wire"
)

// countingConsumer is a [conn.Consumer] that remembers what it has received. It lives for one
// Receive.
type countingConsumer struct {
	conn.Consumer
	s     *stream
	sizes payloadSizes

	decoded, answered bool
}

// Decode implements [conn.Consumer].
func (c *countingConsumer) Decode(f *wire.Frame, data []byte, m any) error {
	c.decoded, c.sizes = true, payloadSizes{len(data), wire.HeaderLen + len(data)}
	if first := &c.s.stats.opening; *first > 0 {
		c.sizes.frame, *first = *first, 0
	}
	return c.Consumer.Decode(f, data, m)
}

// TakeAnswer implements [conn.Consumer].
func (c *countingConsumer) TakeAnswer(reply *wire.Frame, m any) error {
	err := c.Consumer.TakeAnswer(reply, m)
	c.answered, c.sizes = true, c.s.stats.answer
	return err
}

// recv is RecvMsg of both sides. What ends a client's stream ends its call; a server's call ends
// with its answer.
func (s *stream) recv(side conn.Consumer, m any) error {
	if s.stats == nil {
		return s.Receive(side, m)
	}
	ended, err := s.receiveCounted(side, m)
	if ended && s.stats.info.Client {
		s.stats.end(err)
	}
	return err
}

// receiveCounted is receive that tells of the message. ended says that it was the last, or that
// there is none: a message that could not be decoded is neither.
func (s *stream) receiveCounted(side conn.Consumer, m any) (ended bool, err error) {
	counting := &countingConsumer{Consumer: side, s: s}
	err = s.Receive(counting, m)
	if err == nil {
		s.stats.in(m, counting.sizes)
	}
	return counting.answered || err != nil && !counting.decoded, err
}
