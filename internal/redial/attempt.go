package redial

import (
	"context"
	"fmt"
	"time"
)

// connectLocked begins an attempt.
func (r *Redialer[C]) connectLocked() {
	r.began = time.Now()
	r.attempts++
	r.toLocked(Connecting, nil)
	go r.attempt(&link[C]{began: r.began})
}

func (r *Redialer[C]) attempt(l *link[C]) {
	conn, err := r.connect(l)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.endLocked()
	r.attempts--
	switch {
	case err != nil:
		r.failLocked(err)
	case l.end != nil:
		r.failLocked(l.end)
	default:
		l.conn = conn
		r.links[l] = struct{}{}
		r.useLocked(l)
	}
}

func (r *Redialer[C]) connect(l *link[C]) (C, error) {
	ctx, cancel := r.ctx, context.CancelFunc(func() {})
	if r.config.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, r.config.Timeout)
	}
	defer cancel()
	return r.config.Connect(ctx, func(why error) { r.ended(l, why) })
}

// useLocked has calls go to a new connection.
func (r *Redialer[C]) useLocked(l *link[C]) {
	if r.state == Closed {
		go r.config.Close(l.conn)
		return
	}
	r.failure = nil
	r.ready.Store(l)
	r.toLocked(Ready, nil)
}

// leave has no further calls go to a connection that has refused one. Its server may keep it open
// for as long as it likes.
func (r *Redialer[C]) leave(l *link[C], why error) {
	r.lose(l, fmt.Errorf("the connection takes no further calls: %w", why))
	r.config.Leave(l.conn)
}

// lose ends the use of a connection, if it is the one that is used.
func (r *Redialer[C]) lose(l *link[C], why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready.Load() == l {
		r.lostLocked(l, why)
	}
}

// ended is called when a connection has ended.
func (r *Redialer[C]) ended(l *link[C], why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.end = why
	delete(r.links, l)
	if r.ready.Load() == l {
		r.lostLocked(l, why)
	}
	r.endLocked()
}

// lostLocked ends the use of a connection. One on which no call has succeeded, and which has not
// even lasted as long as the delay, is as good as a failed attempt: a server that closes each one,
// or refuses each call, would be dialled without a pause otherwise.
func (r *Redialer[C]) lostLocked(l *link[C], why error) {
	r.ready.Store(nil)
	if !l.proved.Load() && time.Since(l.began) < r.config.Backoff.delay(r.failures+1, 0) {
		r.failLocked(why)
		return
	}
	r.failure, r.failures = why, 0
	r.toLocked(Idle, r.failureLocked())
}

// failLocked counts a failure and begins the delay, which is from attempt to attempt.
func (r *Redialer[C]) failLocked(why error) {
	if r.state == Closed {
		return
	}
	r.failure = why
	r.failures++
	r.failed++
	delay := r.config.Backoff.delay(r.failures, chance()) - time.Since(r.began)
	r.timer = time.AfterFunc(delay, r.delayOver)
	r.toLocked(Failed, r.failureLocked())
}

func (r *Redialer[C]) delayOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state != Failed:
	case r.waiting > 0:
		r.connectLocked()
	default:
		r.toLocked(Idle, r.failureLocked())
	}
}

// toLocked changes the state, wakes those who wait, and has it told.
func (r *Redialer[C]) toLocked(s State, why *Failure) {
	r.state = s
	r.changed.Signal()
	if tell := r.config.Tell; tell != nil {
		r.events.add(func() { tell(s, r.errorOf(why)) })
	}
}
