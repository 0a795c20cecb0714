// Package callctx has a context that costs little where nobody waits for its end: what costs
// something (the channel, the timer, the tie to the parent) is made when somebody asks for it.
package callctx

import (
	"context"
	"sync"
	"time"
)

// Context is a context with a parent, a deadline and an end of its own. Init comes before all else.
type Context struct {
	parent   context.Context
	deadline time.Time // zero: none

	mu     sync.Mutex // guards all below
	err    error
	done   chan struct{}
	armed  bool // the timer and the parent's end cancel it
	left   bool // Leave was called, and nobody waits for the end: it is the parent's
	timer  *time.Timer
	detach func() bool
	funcs  map[*afterFunc]struct{} // to be called at the end
}

type afterFunc struct{ f func() }

// Init sets the parent and how long the context lasts at most, where 0 is no bound.
func (c *Context) Init(parent context.Context, timeout time.Duration) {
	c.parent = parent
	if timeout != 0 {
		c.deadline = time.Now().Add(timeout)
	}
	if d, ok := parent.Deadline(); ok && (c.deadline.IsZero() || d.Before(c.deadline)) {
		c.deadline = d
	}
}

// Deadline implements [context.Context].
func (c *Context) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

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
	return c.err != nil && c.parent.Err() == nil
}

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return c.parent.Done()
	}
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
		c.armLocked()
	}
	return c.done
}

// Err implements [context.Context].
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.lookLocked()
	}
	return c.err
}

// lookLocked finds out whether the end has come, for those who ask without waiting.
func (c *Context) lookLocked() {
	if err := c.parent.Err(); err != nil {
		c.cancelLocked(err)
	} else if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.cancelLocked(context.DeadlineExceeded)
	}
}

// AfterFunc makes context.WithCancel and its kin on top of this context start no goroutine.
func (c *Context) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return context.AfterFunc(c.parent, f)
	}
	c.armLocked()
	a := &afterFunc{f}
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.funcs == nil {
		c.funcs = make(map[*afterFunc]struct{})
	}
	c.funcs[a] = struct{}{}
	return func() bool { return c.forget(a) }
}

func (c *Context) forget(a *afterFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.funcs[a]
	delete(c.funcs, a)
	return ok
}

// armLocked sees to it that the end comes by itself.
func (c *Context) armLocked() {
	if c.armed || c.err != nil {
		return
	}
	c.armed = true
	if c.lookLocked(); c.err != nil {
		return
	}
	if c.parent.Done() != nil {
		c.detach = context.AfterFunc(c.parent, func() { c.Cancel(c.parent.Err()) })
	}
	if !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.Cancel(context.DeadlineExceeded) })
	}
}

// Cancel ends the context with err, if it has not ended. One that has no end of its own any more is
// left alone.
func (c *Context) Cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		c.cancelLocked(err)
	}
}

func (c *Context) cancelLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.detach != nil {
		c.detach()
	}
	for a := range c.funcs {
		go a.f()
	}
	c.funcs = nil
}

// Leave says that the context has no end of its own any more, but its parent's. It reports whether
// somebody may wait for that already, for whom the context has to be kept.
func (c *Context) Leave() (keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = !c.armed && c.err == nil
	return c.armed && c.err == nil
}

// Forsake ends a context that was kept, unless contexts are derived from it: they are in use.
func (c *Context) Forsake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.funcs) == 0 {
		c.cancelLocked(context.Canceled)
	}
}
