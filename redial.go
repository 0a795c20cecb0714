package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// reconnector is the redialer of a client of Dial. There is a goroutine for an attempt while it
// runs, and for the callbacks while there are any: none while nothing is to be done.
type reconnector struct {
	dialConfig
	client *Client // whose connections these are
	ctx    context.Context
	cancel context.CancelFunc // ends an attempt, at Close

	ready   atomic.Pointer[link] // where calls go; nil in all states but StateReady; changed under mu
	changed broadcast            // the state has changed
	events  callbacks            // in the order of the lock

	mu       sync.Mutex // guards all below
	state    ConnState
	failure  error              // why there is no connection; nil: none has failed, or there is one
	failures int                // in a row: of attempts, and of connections that have served no call
	failed   int                // the same, ever
	began    time.Time          // when the last attempt began
	timer    *time.Timer        // of the delay, in StateTransientFailure
	waiting  int                // calls that wait for a connection however long it takes
	links    map[*link]struct{} // connections that have not ended, also those that take no calls
	attempts int                // that run: one at most, but for one that goes on after Close
	told     bool               // the end has been told to callbacks
}

// link is one connection.
type link struct {
	client *Client
	began  time.Time   // the attempt
	proved atomic.Bool // a call has succeeded
	ended  bool        // guarded by the reconnector's lock
}

// repeat implements [redialer].
func (r *reconnector) repeat(ctx context.Context, try func(*Client) error) error {
	for {
		l, err := r.pick(ctx)
		if err != nil {
			return err
		}
		err = try(l.client)
		if err == nil && !l.proved.Load() {
			l.proved.Store(true)
		}
		if err == nil || !NotSent(err) {
			return err
		}
		r.leave(l, err)
	}
}

// pick returns a connection for a call. It has one made if there is none.
func (r *reconnector) pick(ctx context.Context) (*link, error) {
	if l := r.ready.Load(); l != nil {
		return l, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := r.enter(r.waitForReady || ctx.Value(waitForReady{}) != nil)
	defer r.exit(w)
	for {
		changed := r.changed.wait()
		l, err := r.look(w)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, r.gaveUp(ctx.Err())
		}
	}
}

// waiter is a call without a connection.
type waiter struct {
	waits  bool // however long it takes
	failed int  // how many attempts had failed when it came
}

func (r *reconnector) enter(waits bool) waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waits {
		r.waiting++
	}
	return waiter{waits, r.failed}
}

func (r *reconnector) exit(w waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.waits {
		r.waiting--
	}
}

// look returns a connection, or why there is none for this call, or neither: it is to wait. A call
// that does not wait for ready waits for one attempt, which it may have caused.
func (r *reconnector) look(w waiter) (*link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state == StateReady:
		return r.ready.Load(), nil
	case r.state == StateClosed:
		return nil, &unsentError{r.errLocked()}
	case !w.waits && (r.state == StateTransientFailure || r.failed != w.failed):
		return nil, r.errLocked()
	case r.state == StateIdle:
		r.connectLocked()
	}
	return nil, nil
}

// connectLocked begins an attempt.
func (r *reconnector) connectLocked() {
	r.began = time.Now()
	r.attempts++
	r.toLocked(StateConnecting, nil)
	go r.attempt(r.began)
}

func (r *reconnector) attempt(began time.Time) {
	l, err := r.connect(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.endLocked()
	r.attempts--
	switch {
	case err == nil && !l.ended:
		r.links[l] = struct{}{}
		r.useLocked(l)
	case err == nil:
		r.failLocked(endOf(l.client))
	default:
		r.failLocked(err)
	}
}

// useLocked has calls go to a new connection.
func (r *reconnector) useLocked(l *link) {
	if r.state == StateClosed {
		go l.client.Close()
		return
	}
	r.failure = nil
	r.ready.Store(l)
	r.toLocked(StateReady, nil)
}

// connect dials, and has the new connection shake hands.
func (r *reconnector) connect(began time.Time) (*link, error) {
	ctx, cancel := r.ctx, context.CancelFunc(func() {})
	if r.connectTimeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, r.connectTimeout)
	}
	defer cancel()
	conn, err := r.dial(ctx, r.target)
	if err != nil {
		return nil, err
	}
	if isNil(conn) {
		return nil, errDialNilConn
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // a handshake has a context of its own
	l := r.link(began)
	l.client.start(conn)
	if !stop() {
		l.client.Close()
		return nil, ctx.Err()
	}
	if l.client.Err() != nil {
		return nil, endOf(l.client)
	}
	return l, nil
}

// link makes the Client of a connection. It has the options of r's, but for those that r's sees to.
func (r *reconnector) link(began time.Time) *link {
	l := &link{began: began}
	l.client = &Client{clientConfig: r.client.clientConfig, nextID: 1, closed: make(chan struct{})}
	l.client.redialed = true
	l.client.interceptor, l.client.streamInterceptor = nil, nil
	l.client.onClose = func() { r.ended(l) }
	return l
}

// leave has no further calls go to a connection that has refused one.
func (r *reconnector) leave(l *link, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready.Load() == l {
		r.lostLocked(l, fmt.Errorf("the connection takes no further calls: %w", causeOf(why)))
	}
}

// ended is called when a connection has ended.
func (r *reconnector) ended(l *link) {
	why := endOf(l.client)
	r.mu.Lock()
	defer r.mu.Unlock()
	l.ended = true
	delete(r.links, l)
	if r.ready.Load() == l {
		r.lostLocked(l, why)
	}
	r.endLocked()
}

// lostLocked ends the use of a connection. One on which no call has succeeded, and which has not
// even lasted as long as the delay, is as good as a failed attempt: a server that closes each one,
// or refuses each call, would be dialled without a pause otherwise.
func (r *reconnector) lostLocked(l *link, why error) {
	r.ready.Store(nil)
	if !l.proved.Load() && time.Since(l.began) < r.backoff.delay(r.failures+1, 0) {
		r.failLocked(why)
		return
	}
	r.failure, r.failures = why, 0
	r.toLocked(StateIdle, r.errLocked())
}

// failLocked counts a failure and begins the delay, which is from attempt to attempt.
func (r *reconnector) failLocked(why error) {
	if r.state == StateClosed {
		return
	}
	r.failure = why
	r.failures++
	r.failed++
	delay := r.backoff.delay(r.failures, chance()) - time.Since(r.began)
	r.timer = time.AfterFunc(delay, r.delayOver)
	r.toLocked(StateTransientFailure, r.errLocked())
}

func (r *reconnector) delayOver() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state != StateTransientFailure:
	case r.waiting > 0:
		r.connectLocked()
	default:
		r.toLocked(StateIdle, r.errLocked())
	}
}

// toLocked changes the state, wakes those who wait, and has it told.
func (r *reconnector) toLocked(s ConnState, why error) {
	r.state = s
	r.changed.signal()
	if f := r.onState; f != nil {
		r.events.add(func() { f(s, why) })
	}
}

// close implements [redialer].
func (r *reconnector) close() {
	for _, l := range r.shut() {
		l.client.Close()
	}
}

// shut closes it to all calls, and returns what is left to be closed.
func (r *reconnector) shut() (left []*link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == StateClosed {
		return nil
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.cancel()
	r.ready.Store(nil)
	r.failure = net.ErrClosed
	r.state = StateClosed // errLocked looks at it
	r.toLocked(StateClosed, r.errLocked())
	for l := range r.links {
		left = append(left, l)
	}
	r.endLocked()
	return left
}

// endLocked tells the end, once, when there is nothing left that could use a connection.
func (r *reconnector) endLocked() {
	if r.state == StateClosed && len(r.links) == 0 && r.attempts == 0 && !r.told {
		r.told = true
		r.events.add(r.client.finishClose)
	}
}

// current implements [redialer].
func (r *reconnector) current() *Client {
	if l := r.ready.Load(); l != nil {
		return l.client
	}
	return nil
}

// connections implements [redialer].
func (r *reconnector) connections() (state ConnState, all []*Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		all = append(all, l.client)
	}
	return r.state, all
}

// err implements [redialer].
func (r *reconnector) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errLocked()
}

func (r *reconnector) errLocked() error {
	switch {
	case r.failure == nil:
		return nil
	case r.state == StateClosed:
		return &closedError{cause: net.ErrClosed}
	}
	return &noConnError{target: r.target, cause: r.failure}
}

// gaveUp is what a call returns whose context has ended before there was a connection.
func (r *reconnector) gaveUp(end error) error {
	failure := r.err()
	if failure == nil {
		failure = &noConnError{target: r.target, cause: errStillConnecting}
	}
	return &waitError{end: end, failure: failure}
}

// endOf is why a connection has ended.
func endOf(c *Client) error { return fmt.Errorf("the connection has ended: %w", causeOf(c.Err())) }

// causeOf is why a connection is closed, where err says that it is.
func causeOf(err error) error {
	var closed *closedError
	if errors.As(err, &closed) {
		return closed.cause
	}
	return err
}
