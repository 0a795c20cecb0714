// Package redial makes connections when calls want one, and again after their end. What a
// connection is, and what a call, it does not know.
package redial

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/notify"
)

// Config is what a Redialer of connections C needs. It is plain data.
type Config[C any] struct {
	// Connect makes a connection. ended is to be called once when that has ended, and why; that may
	// be before Connect returns.
	Connect func(ctx context.Context, ended func(why error)) (C, error)
	Timeout time.Duration // of an attempt; 0: none
	Close   func(C)       // closes a connection
	// Leave has a connection close that gets no further calls, once those on it have ended. It may be
	// called more than once for one.
	Leave func(C)
	// Refusal is why a connection has not sent a call, by the call's error; nil: it may have.
	Refusal func(err error) error

	// Failed is what users are told of a failure.
	Failed func(*Failure) error
	// Unsent is what a call returns that got no connection, for a failure. waited is the end of its
	// context, which has ended while it waited for one, or nil.
	Unsent func(waited error, why *Failure) error

	Backoff      Backoff
	WaitForReady bool // calls wait for a connection, whatever attempts fail
	// Tell is told of each new state, and by Failed why there is no connection, in their order and
	// under no lock; nil: nobody is.
	Tell func(State, error)
	// Done is called once, behind Tell, when it is closed and all connections have ended.
	Done func()
}

// A Redialer makes connections, one at a time that takes calls. There is a goroutine for an attempt
// while it runs, and for the callbacks while there are any: none while nothing is to be done.
type Redialer[C any] struct {
	config Config[C]
	ctx    context.Context
	cancel context.CancelFunc // ends an attempt, at Close

	ready   atomic.Pointer[link[C]] // where calls go; nil in all states but Ready; changed under mu
	changed notify.Broadcast        // the state has changed
	events  callbacks               // in the order of the lock

	mu       sync.Mutex // guards all below
	state    State
	failure  error                 // why there is no connection; nil: none has failed, or there is one
	failures int                   // in a row: attempts, and connections that have served no call
	failed   int                   // the same, ever
	began    time.Time             // when the last attempt began
	timer    *time.Timer           // of the delay, in Failed
	waiting  int                   // calls that wait for a connection however long it takes
	links    map[*link[C]]struct{} // connections that have not ended, also those that take no calls
	attempts int                   // that run: one at most, but for one that goes on after Close
	told     bool                  // Done is among the callbacks
}

// link is one connection.
type link[C any] struct {
	conn   C
	began  time.Time   // the attempt
	proved atomic.Bool // a call has succeeded
	end    error       // why it has ended; nil: it has not; guarded by the Redialer's lock
}

// New returns a Redialer without a connection. Attempts have the values of ctx, and not its end.
func New[C any](ctx context.Context, config Config[C]) *Redialer[C] {
	r := &Redialer[C]{config: config, links: map[*link[C]]struct{}{}}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// waitForReady is the key of WaitForReady in a context.
type waitForReady struct{}

// WaitForReady returns a context whose calls wait for a connection, as with Config.WaitForReady.
func WaitForReady(ctx context.Context) context.Context {
	return context.WithValue(ctx, waitForReady{}, true)
}

// Do has call use a connection, and another one as long as it was not sent. Where there is none the
// error is Unsent's, or ctx's, if that has ended before.
func (r *Redialer[C]) Do(ctx context.Context, call func(C) error) error {
	for {
		l, err := r.pick(ctx)
		if err != nil {
			return err
		}
		err = call(l.conn)
		if err == nil {
			l.prove()
			return nil
		}
		why := r.config.Refusal(err)
		if why == nil {
			return err
		}
		r.leave(l, why)
	}
}

func (l *link[C]) prove() {
	if !l.proved.Load() {
		l.proved.Store(true)
	}
}

// pick returns a connection for a call. It has one made if there is none.
func (r *Redialer[C]) pick(ctx context.Context) (*link[C], error) {
	if l := r.ready.Load(); l != nil {
		return l, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := r.enter(r.config.WaitForReady || ctx.Value(waitForReady{}) != nil)
	defer r.exit(w)
	for {
		changed := r.changed.Wait()
		l, failure := r.look(w)
		if failure != nil {
			return nil, r.config.Unsent(nil, failure)
		}
		if l != nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, r.config.Unsent(ctx.Err(), r.whyWait())
		}
	}
}

// waiter is a call without a connection.
type waiter struct {
	waits  bool // however long it takes
	failed int  // how many attempts had failed when it came
}

func (r *Redialer[C]) enter(waits bool) waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waits {
		r.waiting++
	}
	return waiter{waits, r.failed}
}

func (r *Redialer[C]) exit(w waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.waits {
		r.waiting--
	}
}

// look returns a connection, or why there is none for this call, or neither: it is to wait. A call
// that does not wait for ready waits for one attempt, which it may have caused.
func (r *Redialer[C]) look(w waiter) (*link[C], *Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state == Ready:
		return r.ready.Load(), nil
	case r.state == Closed, !w.waits && (r.state == Failed || r.failed != w.failed):
		return nil, r.failureLocked()
	case r.state == Idle:
		r.connectLocked()
	}
	return nil, nil
}

// Close closes it to all calls, and closes its connections. Further calls of Close do nothing.
func (r *Redialer[C]) Close() {
	for _, l := range r.shut() {
		r.config.Close(l.conn)
	}
}

// shut closes it to all calls, and returns what is left to be closed.
func (r *Redialer[C]) shut() (left []*link[C]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == Closed {
		return nil
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.cancel()
	r.ready.Store(nil)
	r.failure = net.ErrClosed
	r.state = Closed // failureLocked looks at it
	r.toLocked(Closed, r.failureLocked())
	for l := range r.links {
		left = append(left, l)
	}
	r.endLocked()
	return left
}

// endLocked has Done called, once, when there is nothing left that could use a connection.
func (r *Redialer[C]) endLocked() {
	if r.state == Closed && len(r.links) == 0 && r.attempts == 0 && !r.told {
		r.told = true
		r.events.add(r.config.Done)
	}
}

// Current returns the connection that takes calls. It is the zero value where there is none.
func (r *Redialer[C]) Current() (conn C) {
	if l := r.ready.Load(); l != nil {
		return l.conn
	}
	return conn
}

// Connections returns the state, and all connections that have not ended.
func (r *Redialer[C]) Connections() (state State, all []C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.links {
		all = append(all, l.conn)
	}
	return r.state, all
}

// Err is why there is no connection, by Failed. It is nil where there is one, or none was needed
// yet.
func (r *Redialer[C]) Err() error { return r.errorOf(r.lastFailure()) }

// errorOf is what users are told of a failure, if there is one.
func (r *Redialer[C]) errorOf(f *Failure) error {
	if f == nil {
		return nil
	}
	return r.config.Failed(f)
}

// whyWait is why a call waits: for the last failure, or because the first attempt goes on.
func (r *Redialer[C]) whyWait() *Failure {
	if f := r.lastFailure(); f != nil {
		return f
	}
	return &Failure{Cause: errStillConnecting}
}

func (r *Redialer[C]) lastFailure() *Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failureLocked()
}

func (r *Redialer[C]) failureLocked() *Failure {
	if r.failure == nil {
		return nil
	}
	return &Failure{r.failure, r.state == Closed}
}
