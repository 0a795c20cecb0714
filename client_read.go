package ttrpc

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// readLoop is the reader goroutine, on duty and off, until the connection ends.
func (c *Client) readLoop() {
	timer := time.NewTimer(watchAfter)
	timer.Stop()
	for c.readOnDuty() {
		c.offDuty(timer)
	}
	c.ch.discard()
}

// readOnDuty hands out frames until the goroutine is off duty, and returns false when the connection is gone.
func (c *Client) readOnDuty() bool {
	for {
		in, err := c.ch.recv()
		if err != nil {
			if c.wasKicked(err) {
				continue
			}
			c.readFailed(err)
			return false
		}
		for ; in != nil; in = c.ch.buffered() {
			c.handle(in)
		}
		if c.retire() {
			return true
		}
	}
}

// retire gives up the duty when whoever wants the next frame is likely to read it itself: the next call, or the
// consumer of the only stream.
func (c *Client) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lonely || c.ch.reader.raw == nil || c.failed != nil || !c.onlyLocked(c.loner) || !c.pace.quick() {
		return false
	}
	c.ch.rest()
	c.duty = dutyNone
	return true
}

// onlyLocked reports whether nothing is in flight, or nothing but the call of this id.
func (c *Client) onlyLocked(id uint32) bool {
	return len(c.streams) == 0 || len(c.streams) == 1 && c.streams[id] != nil
}

// offDuty returns when the goroutine is on duty again.
func (c *Client) offDuty(timer *time.Timer) {
	timer.Reset(watchAfter)
	defer timer.Stop()
	last := uint64(0) // c.moves at the last tick; the first finds many
	for {
		tick := false
		select {
		case <-c.wake:
		case <-timer.C:
			tick = true
		}
		if c.resume(tick, &last, timer) {
			return
		}
	}
}

// resume reports whether the goroutine is on duty now. A wake-up may be stale, so the duty alone counts. After a
// tick with few moves it takes the duty up itself, so that somebody notices the end of the connection; where a
// caller is reading, it gets that one out, so that somebody notices the end of the caller's context.
func (c *Client) resume(tick bool, last *uint64, timer *time.Timer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.duty == dutyReader || !tick {
		return c.duty == dutyReader
	}
	if c.moves-*last >= fewMoves {
		*last = c.moves
		timer.Reset(watchAfter)
		return false
	}
	if c.duty == dutyCaller {
		c.kickLocked()
		return false // the caller hands over
	}
	c.duty = dutyReader
	return true
}

// kickLocked gets a caller out of its read. Should it have left already, the next reader finds the deadline,
// and nothing else wrong.
func (c *Client) kickLocked() {
	c.recall = true
	if !c.dying {
		c.kicked = true
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // a descriptor has deadlines, and only those have callers read
	}
}

// wasKicked reports whether a read has failed for a kick alone, and makes the connection readable again. A
// deadline of anybody else's is an error like any other.
func (c *Client) wasKicked(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.kicked {
		return false
	}
	c.kicked = false
	deadline := time.Time{}
	if c.dying {
		deadline = time.Now().Add(lastWords)
	}
	return c.conn.SetReadDeadline(deadline) == nil
}

// readFor is a caller on duty: it hands out frames until there is something for s, or until it is kicked.
func (c *Client) readFor(s *stream) {
	for len(s.ready) == 0 {
		in, err := c.ch.recv()
		if err != nil {
			if !c.wasKicked(err) {
				c.readFailed(err)
			}
			break
		}
		c.handle(in)
	}
	for in := c.ch.buffered(); in != nil; in = c.ch.buffered() {
		c.handle(in)
	}
	c.ch.rest()
	c.handOver()
}

// handOver ends a caller's duty.
func (c *Client) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.onlyLocked(c.loner) || c.recall || c.failed != nil {
		c.recall = false
		c.summonLocked()
		return
	}
	c.duty = dutyNone
}

// takeDuty is for the consumer of a stream that finds its inbox empty. With solo it may become the reader, if nobody
// is; without, the reader goroutine is summoned. In either case somebody reads from then on.
func (c *Client) takeDuty(id uint32, solo bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lonely = solo && c.onlyLocked(id)
	c.loner = id
	c.moves++
	if c.duty != dutyNone || c.failed != nil {
		return false
	}
	if !c.lonely {
		c.summonLocked()
		return false
	}
	c.duty = dutyCaller
	return true
}

// readFailed ends the connection: with the error of the write that failed before, if one did.
func (c *Client) readFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if cause := c.ch.writeError(); cause != nil {
			err = cause
		}
	}
	c.fail(err)
}

// handle gives one frame to its call. Frames for calls that are gone are late, and frames of other types
// are for a later version: both are dropped.
func (c *Client) handle(in *inbound) {
	switch {
	case in.oversized:
		c.endCall(in.stream, oversizedStatus(uint64(in.length), c.maxRecv))
	case in.typ == typeResponse:
		if s := c.claim(in.stream); s != nil {
			s.end(in.take(), nil)
		}
	case in.typ == typeData:
		c.handleData(in)
	}
}

func (c *Client) handleData(in *inbound) {
	c.mu.Lock()
	s := c.streams[in.stream]
	c.mu.Unlock()
	switch {
	case s == nil:
		return
	case s.unary:
		c.endCall(in.stream, fmt.Errorf("unexpected %q message received: %w", in.typ, ErrProtocol))
		return
	case s.noData:
		c.endCall(s.id, fmt.Errorf("received data from non-streaming server: %w", ErrProtocol))
		return
	}
	if in.flags&flagNoData == 0 {
		c.flow.deliver(s, in, c.allStreams, c.failFull)
	}
	if in.flags&flagRemoteClosed != 0 && c.claim(s.id) != nil {
		s.end(nil, nil)
	}
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
