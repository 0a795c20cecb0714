package conn

import (
	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Call is a call in flight.
type Call interface {
	// Receiver is where Data of the call goes; it is nil for a server's unary call. The lock is held.
	Receiver() *Stream
}

// busyCalls is how many calls in flight are served better by one reader that reads ahead for all.
const busyCalls = 5

// isBusy reports whether so many are in flight.
func (c *Conn) isBusy() bool {
	c.mu.Lock()
	busy := len(c.calls) >= busyCalls
	c.mu.Unlock()
	return busy
}

// RegisterLocked puts a call in flight. It needs the lock.
func (c *Conn) RegisterLocked(id uint32, call Call) {
	if c.calls == nil {
		c.calls = make(map[uint32]Call)
	}
	c.calls[id] = call
	c.inflow.LookAgain()
}

// BeginLocked posts f, the first frame of a call that this side makes, and puts the call in flight
// under id. It may send what first says. It needs the lock. Its error is what writing has ended
// with: the call is not in flight then.
func (c *Conn) BeginLocked(id uint32, call Call, f *wire.Frame, first *flow.FirstLimit) (transport.Unwritten, error) {
	s := call.Receiver()
	s.id = id
	f.SetStream(id)
	posted, err := c.t.Post(f)
	if err != nil {
		return posted, err
	}
	s.outgoing.Begin(first)
	s.opened = posted.At()
	c.RegisterLocked(id, call)
	return posted, nil
}

// NeverSent reports whether the first frame of a call that this side has begun was not written, nor
// will be.
func (c *Conn) NeverSent(s *Stream) bool { return c.t.NeverWritten(s.opened) }

// ClaimLocked removes a call: whoever gets it, and not nil, ends it. It needs the lock.
func (c *Conn) ClaimLocked(id uint32) Call {
	call := c.calls[id]
	if call != nil {
		delete(c.calls, id)
	}
	return call
}

// InFlightLocked is how many calls are in flight. It needs the lock.
func (c *Conn) InFlightLocked() int { return len(c.calls) }

// CallsLocked ranges over the calls in flight, which may be claimed meanwhile. It needs the lock
// until the end.
func (c *Conn) CallsLocked() func(yield func(id uint32, call Call) bool) {
	return func(yield func(uint32, Call) bool) {
		for id, call := range c.calls {
			if !yield(id, call) {
				return
			}
		}
	}
}

// IsLiveLocked reports whether a stream is in flight. It needs the lock.
func (c *Conn) IsLiveLocked(s *Stream) bool {
	call := c.calls[s.id]
	return call != nil && call.Receiver() == s
}

// lookup finds a call in flight, and the stream where its Data goes, if there is one.
func (c *Conn) lookup(id uint32) (s *Stream, live bool) {
	c.mu.Lock()
	call := c.calls[id]
	if call != nil {
		s = call.Receiver() // under the lock: a server's call is recycled once it is claimed
	}
	c.mu.Unlock()
	return s, call != nil
}

// isSole reports whether nothing is in flight but the call of this id.
func (c *Conn) isSole(id uint32) bool {
	c.mu.Lock()
	sole := len(c.calls) == 1 && c.calls[id] != nil
	c.mu.Unlock()
	return sole
}

// streams lists the streams in flight.
func (c *Conn) streams() []*Stream {
	c.mu.Lock()
	all := make([]*Stream, 0, len(c.calls))
	for _, call := range c.calls {
		if s := call.Receiver(); s != nil && s.kind != Unary {
			all = append(all, s)
		}
	}
	c.mu.Unlock()
	return all
}

// WakeStreams has the consumers of all streams look.
func (c *Conn) WakeStreams() {
	for _, s := range c.streams() {
		s.Wake()
	}
}
