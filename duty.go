package ttrpc

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// duty says who reads from a connection. Whoever is on duty owns the channel's reader.
type duty uint8

const (
	dutyReader duty = iota // the reader goroutine, or it has been woken for it
	dutyCaller             // somebody who waits for a frame, until it is there
	dutyNone               // nobody: what is in flight comes back to read for itself, as it has done lately
)

const (
	// watchAfter is how long nobody reads a connection, or a caller reads without an answer, before the reader
	// goroutine takes over; at the most it is twice as long.
	watchAfter = 5 * time.Millisecond
	// fewMoves in that time are too few for callers to go on reading for themselves.
	fewMoves = 4
	// patience is what a context must have left for its caller to read itself, since it is not watched then.
	patience = 8 * watchAfter
	// soloBuffer is what a stream's buffer must hold for its consumer to read itself, since it does not take
	// messages meanwhile: more than one read brings.
	soloBuffer = 4 * readLarge
)

// rota settles who reads. A goroutine reads as long as there is more than one thing in flight. Where one call
// follows the other, or one stream is asked and answered, those who wait for the next frame read it themselves,
// which saves a switch of goroutines, and on an idle machine the waking of a processor. The goroutine is off duty
// then. It takes over again when more comes into flight, and when little moves, so that the end of an idle
// connection is noticed, and that of a context whose owner is reading.
type rota struct {
	ch   *channel
	wake chan struct{} // capacity 1: to the reader goroutine off duty

	pending bool // the frame read last was passed on; the reader's

	lock   *sync.Mutex // the connection's; guards all below
	duty   duty
	lonely bool   // one thing at a time is in flight, and reads for itself
	loner  uint32 // the stream that does so; unary calls come and go
	kicked bool   // a read deadline was set to get the one on duty out
	recall bool   // the reader goroutine takes over from the caller on duty
	pace   pace   // of what comes while the reader goroutine is on duty
	moves  uint64 // goes up with each call, and each wait of a stream's consumer
	shifts uint64 // goes up each time a caller goes on duty
	waits  bool   // the loner waits while another is on duty, and has not been served since
	lent   uint64 // not 0: the goroutine is away since this run of a handler, and to summon it starts another; see server_loan.go
	readOn func() // what that does; nil for a client, which lends nothing
}

func (r *rota) init(lock *sync.Mutex, ch *channel, readOn func()) {
	r.lock, r.ch, r.readOn = lock, ch, readOn
	r.wake = make(chan struct{}, 1)
}

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

// retireLocked gives up the reader goroutine's duty when whoever wants the next frame is likely to read it itself.
// only: nothing is in flight but the loner.
func (r *rota) retireLocked(only bool) bool {
	if !r.lonely || !only || r.waits || r.ch.reader.raw == nil || !r.pace.quick() {
		return false
	}
	r.ch.rest()
	r.duty = dutyNone
	return true
}

// offDuty returns when the reader goroutine is on duty again.
func (r *rota) offDuty() {
	timer := time.NewTimer(watchAfter)
	defer timer.Stop()
	var last tally
	for {
		tick := false
		select {
		case <-r.wake:
		case <-timer.C:
			tick = true
		}
		if r.resume(tick, &last, timer) {
			return
		}
	}
}

// tally is what the last tick found.
type tally struct{ moves, shifts uint64 }

// resume reports whether the goroutine is on duty now. A wake-up may be stale, so the duty alone counts. A caller
// that is on duty for a whole tick is got out, so that somebody notices the end of its context; after a tick with
// few moves the goroutine takes the duty up, so that somebody notices the end of the connection.
func (r *rota) resume(tick bool, last *tally, timer *time.Timer) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.duty == dutyReader || !tick {
		return r.duty == dutyReader
	}
	few, same := r.moves-last.moves < fewMoves, r.shifts == last.shifts
	*last = tally{r.moves, r.shifts}
	switch {
	case r.duty == dutyCaller && same:
		r.kickLocked()
		return false // the caller hands over
	case r.duty == dutyNone && few:
		r.duty = dutyReader
		return true
	}
	timer.Reset(watchAfter)
	return false
}

// kickLocked gets the one on duty out of its read. Should it have left already, the next one finds the deadline,
// and nothing else wrong.
func (r *rota) kickLocked() {
	r.recall, r.kicked = true, true
	_ = r.conn().SetReadDeadline(time.Unix(1, 0)) // a descriptor has deadlines, and only those are read so
}

func (r *rota) conn() net.Conn { return r.ch.conn }

// wasKicked reports whether a read has failed for a kick alone, and makes the connection readable again. A
// deadline of anybody else's is an error like any other.
func (r *rota) wasKicked(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if !r.kicked {
		return false
	}
	r.kicked = false
	return r.conn().SetReadDeadline(time.Time{}) == nil
}

// handOverLocked ends a caller's duty. only: nothing is in flight but its own stream, and the connection is well.
func (r *rota) handOverLocked(only bool) {
	if !only || r.recall {
		r.recall = false
		r.summonLocked()
		return
	}
	r.duty = dutyNone
}

// passOnLocked ends a caller's duty at a frame that it would have to wait with: the goroutine does that.
func (r *rota) passOnLocked() {
	r.pending, r.recall = true, false
	r.summonLocked()
}

// recv is the reader goroutine's: the frame that was passed on, or the next one.
func (r *rota) recv(soon bool) (*inbound, error) {
	switch {
	case r.pending:
		r.pending = false
		return &r.ch.in, nil
	case soon:
		return r.ch.recvSoon()
	}
	return r.ch.recv()
}

// takeLocked is for the consumer of a stream that finds its inbox empty. With solo, which says that nothing else is
// in flight and that it wants to, it becomes the reader if nobody is; without, the goroutine is summoned. In either
// case somebody reads from then on.
func (r *rota) takeLocked(id uint32, solo bool) (mine bool) {
	r.lonely, r.loner = solo, id
	r.moves++
	switch {
	case r.duty != dutyNone:
		r.waits = true
		return false
	case !solo:
		r.summonLocked()
		return false
	}
	r.shiftLocked()
	return true
}

// servedLocked says that the reader has something for a call.
func (r *rota) servedLocked(id uint32) {
	if id == r.loner {
		r.waits = false
	}
}

// shiftLocked puts a caller on duty.
func (r *rota) shiftLocked() {
	r.duty = dutyCaller
	r.shifts++
}

// assignLocked settles who reads the answer to a new call, when nobody is on duty: a lonely unary call itself, a
// lonely stream when its consumer waits, or the reader goroutine.
func (r *rota) assignLocked(id uint32, unary, lonely bool) (mine bool) {
	r.lonely, r.loner = lonely, id
	r.moves++
	switch {
	case r.duty != dutyNone:
		r.waits = unary
	case !lonely:
		r.summonLocked()
	case unary:
		r.shiftLocked()
		return true
	}
	return false
}

// summonLocked puts the reader goroutine on duty.
func (r *rota) summonLocked() {
	r.duty = dutyReader
	if r.lent == 0 {
		signal(r.wake)
		return
	}
	r.lent = 0
	go r.readOn()
}

// attendLocked puts the reader goroutine on duty if nobody is.
func (r *rota) attendLocked() {
	if r.duty == dutyNone {
		r.summonLocked()
	}
}

// rouseLocked has the one on duty, if that is not the goroutine, look after its own affairs.
func (r *rota) rouseLocked() {
	if r.duty == dutyCaller {
		r.kickLocked()
	}
}

// isPatient reports whether a context will not mind being looked at only after 2*watchAfter.
func isPatient(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > patience
}
