// Package callctx has the contexts of a server's calls, and of the connections on which they come.
// One costs little where nobody waits for its end: what costs something (the channel, the timer,
// the tie to the parent) is made when somebody asks for it.
package callctx

import (
	"context"
	"sync"
	"time"
)

// Context is a context with a parent, a deadline and an end of its own. Init comes before all else.
type Context struct {
	_ [0]func() // no code is made that compares two of these

	parent context.Context

	mu  sync.Mutex // guards own, and what it points to
	own *end       // nil for one without a deadline, while nobody waits for its end and it has none
}

// end is what a context has of its own, beside its parent.
type end struct {
	phase    phase
	deadline time.Time // zero: none
	err      error     // why it has ended, in phaseEnded
	done     chan struct{}
	timer    *time.Timer
	detach   func() bool
	funcs    map[*afterFunc]struct{} // to be called at the end
}

// phase is how far a context has come.
//
//	from          event                                              to
//	phaseSilent   somebody waits for the end                         phaseArmed
//	phaseSilent   leave                                              phaseLeft
//	any but Left  Cancel; the end of the deadline, or the parent's   phaseEnded
//
// The last is noticed in phaseSilent when somebody asks.
type phase uint8

const (
	phaseSilent phase = iota
	phaseArmed        // the timer and the parent's end cancel it
	phaseEnded
	phaseLeft // nobody waits for the end: it is the parent's
)

// Contexts on which nobody has waited share these, which nobody writes.
var (
	left     = &end{phase: phaseLeft}
	canceled = &end{phase: phaseEnded, err: context.Canceled, done: closed}
	closed   = closedChannel()
)

func closedChannel() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

type afterFunc struct{ f func() }

// Init sets the parent and how long the context lasts at most, where 0 is no bound but the
// parent's.
func (c *Context) Init(parent context.Context, timeout time.Duration) {
	c.parent = parent
	if timeout == 0 {
		return
	}
	deadline := time.Now().Add(timeout)
	if d, ok := parent.Deadline(); ok && d.Before(deadline) {
		return
	}
	c.own = &end{deadline: deadline}
}

// Deadline implements [context.Context].
func (c *Context) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil && !c.own.deadline.IsZero() {
		return c.own.deadline, true
	}
	return c.parent.Deadline()
}

// Value implements [context.Context].
func (c *Context) Value(key any) any {
	if key == causeKey && c.endedAlone() {
		return nil // Cause asks Err then
	}
	return c.parent.Value(key)
}

// causeKey is what context.Cause looks up. Before Go 1.25 it asks nobody else once it has found the
// parent that way, and of an end that is this context's own the parent knows nothing.
var causeKey = func() any {
	var f keyFinder
	_ = context.Cause(&f)
	return f.key
}()

// keyFinder is a context that remembers what was looked up in it.
type keyFinder struct{ key any }

func (*keyFinder) Deadline() (deadline time.Time, ok bool) { return }
func (*keyFinder) Done() <-chan struct{}                   { return nil }
func (*keyFinder) Err() error                              { return nil }
func (f *keyFinder) Value(key any) any                     { f.key = key; return nil }

// endedAlone reports whether the context has ended and its parent has not.
func (c *Context) endedAlone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phaseLocked() == phaseEnded && c.parent.Err() == nil
}

func (c *Context) phaseLocked() phase {
	if c.own == nil {
		return phaseSilent
	}
	return c.own.phase
}

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phaseLocked() == phaseLeft {
		return c.parent.Done()
	}
	own := c.armLocked()
	if own.done == nil {
		own.done = make(chan struct{})
		if own.err != nil {
			close(own.done)
		}
	}
	return own.done
}

// Err implements [context.Context].
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookLocked()
	switch c.phaseLocked() {
	case phaseEnded:
		return c.own.err
	case phaseLeft:
		return c.parent.Err()
	}
	return nil
}

// lookLocked finds out whether the end has come, for those who ask without waiting.
func (c *Context) lookLocked() {
	if c.phaseLocked() > phaseArmed {
		return
	}
	if err := c.parent.Err(); err != nil {
		c.cancelLocked(err)
	} else if c.own != nil && !c.own.deadline.IsZero() && !time.Now().Before(c.own.deadline) {
		c.cancelLocked(context.DeadlineExceeded)
	}
}

// AfterFunc makes context.WithCancel and its kin on top of this context start no goroutine.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phaseLocked() == phaseLeft {
		return context.AfterFunc(c.parent, f)
	}
	own := c.armLocked()
	if own.err != nil {
		go f()
		return func() bool { return false }
	}
	if own.funcs == nil {
		own.funcs = make(map[*afterFunc]struct{})
	}
	a := &afterFunc{f}
	own.funcs[a] = struct{}{}
	return func() bool { return c.forget(a) }
}

func (c *Context) forget(a *afterFunc) bool {
	c.mu.Lock()
	_, ok := c.own.funcs[a]
	delete(c.own.funcs, a)
	c.mu.Unlock()
	return ok
}

// armLocked sees to it that the end comes by itself, where it has not come yet.
func (c *Context) armLocked() *end {
	c.lookLocked()
	if c.phaseLocked() != phaseSilent {
		return c.own
	}
	if c.own == nil {
		c.own = new(end)
	}
	c.own.phase = phaseArmed
	if c.parent.Done() != nil {
		c.own.detach = context.AfterFunc(c.parent, func() { c.Cancel(c.parent.Err()) })
	}
	if d := c.own.deadline; !d.IsZero() {
		c.own.timer = time.AfterFunc(time.Until(d), func() { c.Cancel(context.DeadlineExceeded) })
	}
	return c.own
}

// Cancel ends the context with err, if it has not ended. One that has no end of its own any more is
// left alone.
func (c *Context) Cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelLocked(err)
}

func (c *Context) cancelLocked(err error) {
	own := c.own
	switch {
	case own == nil && err == context.Canceled:
		c.own = canceled
		return
	case own == nil:
		own = new(end)
		c.own = own
	case own.phase > phaseArmed:
		return
	}
	own.phase, own.err = phaseEnded, err
	if own.done != nil {
		close(own.done)
	}
	if own.timer != nil {
		own.timer.Stop()
	}
	if own.detach != nil {
		own.detach()
	}
	for a := range own.funcs {
		go a.f()
	}
	own.funcs = nil
}

// leave says that the context, which has no deadline of its own, has no end of its own any more,
// but its parent's. It reports whether somebody may wait for that already, for whom the context has
// to be kept, by an [Outlived].
func (c *Context) leave() (keep bool) {
	c.mu.Lock()
	if c.own == nil {
		c.own = left
	}
	keep = c.own.phase == phaseArmed
	c.mu.Unlock()
	return keep
}

// forsake ends a context that was kept, unless contexts are derived from it: they are in use.
func (c *Context) forsake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil || len(c.own.funcs) == 0 {
		c.cancelLocked(context.Canceled)
	}
}
