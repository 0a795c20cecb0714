package ttrpc

import (
	"context"
	"errors"
	"os"
	"time"
)

// duty says who reads from the connection. It changes under the client's lock, and whoever is on duty owns
// the channel's reader. A caller that is alone reads its answer itself, which saves a goroutine switch; the
// reader goroutine is off duty then, and takes over again when more calls are in flight or none was made
// for a while, so that the end of an idle connection is noticed.
type duty uint8

const (
	dutyReader duty = iota // the reader goroutine, or it has been woken for it
	dutyCaller             // a caller, until its answer is there
	dutyNone               // nobody: no call is in flight, and lately there were some
)

const (
	// watchAfter is how long nobody reads a connection, or a caller reads without an answer, before the reader
	// goroutine takes over; at the most it is twice as long.
	watchAfter = 5 * time.Millisecond
	// fewMoves in that time are too few for callers to go on reading for themselves.
	fewMoves = 4
	// patience is what a context must have left for its caller to read itself, since it is not watched then.
	patience = 8 * watchAfter
)

// pace tells whether something happens often: only then is it worth a timer that looks after it.
type pace struct {
	count int
	since time.Duration // on the clock
}

const (
	paceCount = 16
	paceTime  = 4 * time.Millisecond // for so many
)

// quick counts one more, and reports whether the last paceCount came in paceTime.
func (p *pace) quick() bool {
	if p.count++; p.count < paceCount {
		return false
	}
	now := clock()
	took := now - p.since
	p.count, p.since = 0, now
	return took < paceTime
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

// isPatient reports whether a context will not mind being looked at only after 2*watchAfter.
func isPatient(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > patience
}

// assignLocked settles who reads the answer to s when nobody is on duty: a lonely call itself, a lonely stream when
// its consumer waits, or the reader goroutine.
func (c *Client) assignLocked(s *stream) (mine bool) {
	switch {
	case c.duty != dutyNone:
	case !c.lonely:
		c.summonLocked()
	case s.unary:
		c.duty = dutyCaller
		return true
	}
	return false
}

// summonLocked puts the reader goroutine on duty.
func (c *Client) summonLocked() {
	c.duty = dutyReader
	signal(c.wake)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
