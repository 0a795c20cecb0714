package ttrpc

import "fmt"

// readLoop is the reader goroutine, on duty and off, until the connection ends.
func (c *Client) readLoop() {
	for c.readOnDuty() {
		c.offDuty()
	}
	c.ch.discard()
}

// readOnDuty hands out frames until the goroutine is off duty, and returns false when the connection is gone.
func (c *Client) readOnDuty() bool {
	for {
		in, err := c.recv(false)
		if err != nil {
			if c.wasKicked(err) {
				continue
			}
			c.fail(err)
			return false
		}
		crowd := in.typ == typeResponse && len(c.ch.unread) > 0
		if crowd { // who is answered now is likely to call again; who gets Data is not, and the reader should not yield for it
			c.ch.gather()
		}
		for ; in != nil; in = c.ch.buffered() {
			c.handle(in, true)
		}
		if crowd {
			c.ch.flushGathered(false)
		}
		if c.retire() {
			return true
		}
	}
}

// retire gives up the duty to the next call, or to the consumer of the only stream.
func (c *Client) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed == nil && c.retireLocked(c.onlyLocked(c.loner))
}

// onlyLocked reports whether nothing is in flight, or nothing but the call of this id.
func (c *Client) onlyLocked(id uint32) bool {
	return len(c.streams) == 0 || len(c.streams) == 1 && c.streams[id] != nil
}

// takeDuty is for the consumer of a stream that waits.
func (c *Client) takeDuty(id uint32, solo bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return false
	}
	return c.takeLocked(id, solo && c.onlyLocked(id) && c.flow.solo())
}

// readFor is a caller on duty: it hands out frames until there is something for s, or until it is kicked, or until it
// would have to wait for another call's consumer: its own context may end meanwhile.
func (c *Client) readFor(s *stream) {
	for len(s.ready) == 0 {
		in, err := c.ch.recvSoon()
		if err != nil {
			if !c.wasKicked(err) {
				c.fail(err)
			}
			break
		}
		if !c.handle(in, false) {
			c.passOn()
			return
		}
	}
	for in := c.ch.buffered(); in != nil; in = c.ch.buffered() {
		if !c.handle(in, false) {
			c.passOn()
			return
		}
	}
	c.ch.rest()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.unary && c.streams[s.id] != nil { // kicked: it waits for the reader goroutine from now on
		c.loner, c.waits = s.id, true
	}
	c.handOverLocked(c.failed == nil && c.onlyLocked(s.id))
}

func (c *Client) passOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passOnLocked()
}

// handle gives one frame to its call. Frames for calls that are gone are late, and frames of other types
// are for a later version: both are dropped. It returns false for a frame that it would have to wait with, unless
// it may.
func (c *Client) handle(in *inbound, mayWait bool) bool {
	switch {
	case in.oversized:
		c.endCall(in.stream, oversizedStatus(uint64(in.length), c.maxRecv))
	case in.typ == typeResponse:
		if s := c.claim(in.stream); s != nil {
			s.end(in.take(), nil)
		}
	case in.typ == typeData:
		return c.handleData(in, mayWait)
	}
	return true
}

func (c *Client) handleData(in *inbound, mayWait bool) bool {
	c.mu.Lock()
	s := c.streams[in.stream]
	c.servedLocked(in.stream)
	c.mu.Unlock()
	switch {
	case s == nil:
		return true
	case s.unary:
		c.endCall(in.stream, fmt.Errorf("unexpected %q message received: %w", in.typ, ErrProtocol))
		return true
	case s.noData:
		c.endCall(s.id, fmt.Errorf("received data from non-streaming server: %w", ErrProtocol))
		return true
	}
	if in.flags&flagNoData == 0 && !c.deliver(s, in, mayWait) {
		return false
	}
	if in.flags&flagRemoteClosed != 0 && c.claim(s.id) != nil {
		s.end(nil, nil)
	}
	return true
}

func (c *Client) deliver(s *stream, in *inbound, mayWait bool) bool {
	if c.flow.deliver(s, in, false, c.allStreams, c.failFull) {
		return true
	}
	if !mayWait {
		return false
	}
	c.ch.flushGathered(false) // or others would wait, too
	return c.flow.deliver(s, in, true, c.allStreams, c.failFull)
}

// endCall ends a call with an error, if it is still there.
func (c *Client) endCall(id uint32, err error) {
	if s := c.claim(id); s != nil {
		s.kill(err)
	}
}

func (c *Client) failFull(s *stream) { c.endCall(s.id, ErrStreamFull) }

func (c *Client) allStreams() []*stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*stream, 0, len(c.streams))
	for _, s := range c.streams {
		if !s.unary {
			all = append(all, s)
		}
	}
	return all
}
