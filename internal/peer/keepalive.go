package peer

import (
	"context"
	"time"
)

// grace is the end of the time that a peer has to answer. It counts awake: a process that stood
// still has an answer before it that it has not read.
const grace = 50 * time.Millisecond

// Keep has a peer that knows extensions pinged, an interval after its last answer, until the
// connection has ended. One that does not answer in time is gone. An interval of 0 is none. Keep is
// no method: a program that reflects on methods links all of them.
func Keep(l *Liveness, interval, timeout time.Duration) {
	if interval <= 0 {
		return
	}
	l.mu.Lock()
	if p := l.pingsLocked(); p.ended == nil {
		p.timer = time.AfterFunc(interval, func() { check(l, interval, timeout) })
	}
	l.mu.Unlock()
}

func check(l *Liveness, interval, timeout time.Duration) {
	if !l.isAliveWithin(timeout) {
		l.conn.PeerSilent(timeout)
	}
	Keep(l, interval, timeout)
}

// isAliveWithin reports whether a peer that knows extensions gives a sign of life in time, which is
// whatever comes from it. Behind a backlog a Ping is late: there it is enough that some of that has
// been written since the check before.
func (l *Liveness) isAliveWithin(timeout time.Duration) bool {
	if !l.ext.Known() {
		return true
	}
	read, behind := l.conn.LastRead(), l.conn.Unwritten() > 0
	number, answered, err := l.sendPing()
	if err != nil {
		return true // the connection has ended
	}
	defer l.forget(number)
	heard := l.isHeardWithin(timeout, answered, read)
	behind = behind || l.conn.Unwritten() > 0 // a moment without is chance
	moves := l.hasWritten()
	return heard || behind && moves
}

// isHeardWithin waits for a Pong, or whatever has been read since. Silence is none while what comes
// lies unread, behind what a consumer has to take first.
func (l *Liveness) isHeardWithin(timeout time.Duration, answered chan struct{}, lastRead time.Duration) bool {
	for _, d := range []time.Duration{timeout - grace, grace} {
		if l.isAnsweredWithin(d, answered) || l.conn.LastRead() != lastRead || l.conn.Waits() {
			return true
		}
	}
	return false
}

// hasWritten reports whether anything was written since it was asked last.
func (l *Liveness) hasWritten() bool {
	now := l.conn.WriteProgress()
	l.mu.Lock()
	p := l.pingsLocked()
	before := p.written
	p.written = now
	l.mu.Unlock()
	return now != before
}

// isAnsweredWithin reports whether the Pong comes in time, or the end of the connection.
func (l *Liveness) isAnsweredWithin(d time.Duration, answered chan struct{}) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return l.await(ctx, answered) != context.DeadlineExceeded
}
