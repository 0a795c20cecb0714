package ttrpc

import "github.com/containerd/ttrpc/internal/wire"

// countingConsumer is a consumer that remembers what it has received. It lives for one receive.
type countingConsumer struct {
	consumer
	s     *stream
	sizes payloadSizes

	decoded, answered bool
}

func (c *countingConsumer) decode(f *wire.Frame, data []byte, m any) error {
	c.decoded, c.sizes = true, payloadSizes{len(data), wire.HeaderLen + len(data)}
	if first := &c.s.stats.opening; *first > 0 {
		c.sizes.frame, *first = *first, 0
	}
	return c.consumer.decode(f, data, m)
}

func (c *countingConsumer) takeAnswer(m any) error {
	err := c.consumer.takeAnswer(m)
	c.answered, c.sizes = true, c.s.stats.answer
	return err
}

// recv is RecvMsg of both sides. What ends a client's stream ends its call; a server's call ends
// with its answer.
func (s *stream) recv(side consumer, m any) error {
	if s.stats == nil {
		return s.receive(side, m)
	}
	ended, err := s.receiveCounted(side, m)
	if ended && s.stats.info.Client {
		s.stats.end(err)
	}
	return err
}

// receiveCounted is receive that tells of the message. ended says that it was the last, or that
// there is none: a message that could not be decoded is neither.
func (s *stream) receiveCounted(side consumer, m any) (ended bool, err error) {
	counting := &countingConsumer{consumer: side, s: s}
	err = s.receive(counting, m)
	if err == nil {
		s.stats.in(m, counting.sizes)
	}
	return counting.answered || err != nil && !counting.decoded, err
}
