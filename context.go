package ttrpc

import (
	"context"
	"net"
	"sync"
	"time"
)

// connContext is the parent of the contexts of all calls on a connection:
// it ends with the connection, and knows it.
type connContext struct {
	context.Context
	sc *serverConn
}

type (
	handshakeKey struct{}
	connKey      struct{}
)

// Value implements [context.Context].
func (c *connContext) Value(key any) any {
	switch key.(type) {
	case handshakeKey:
		return c.sc.handshake // written before the first call
	case connKey:
		return c.sc
	}
	return c.Context.Value(key)
}

// HandshakeData returns, in a handler, what the server's [Handshaker] returned beside the
// connection, such as the peer's credentials (*unix.Ucred for the UnixSocketRequire functions).
// It is nil without a handshaker.
func HandshakeData(ctx context.Context) any { return ctx.Value(handshakeKey{}) }

// RemoteAddr returns, in a handler, the address of the connection's other end. It is nil where ctx
// is not a handler's, and may have no text: clients of unix sockets are unnamed as a rule.
func RemoteAddr(ctx context.Context) net.Addr {
	if sc, ok := ctx.Value(connKey{}).(*serverConn); ok {
		return sc.netConn.RemoteAddr()
	}
	return nil
}

// LocalAddr returns, in a handler, the address of the connection's own end. It is nil where ctx is
// not a handler's.
func LocalAddr(ctx context.Context) net.Addr {
	if sc, ok := ctx.Value(connKey{}).(*serverConn); ok {
		return sc.netConn.LocalAddr()
	}
	return nil
}

// callContext is the context of one call that has more to it than its connection: a deadline,
// metadata, an end of its own. What costs something (the channel, the timer, the tie to the parent)
// is made when somebody asks for it, which most handlers never do.
type callContext struct {
	parent   context.Context
	deadline time.Time // zero: none
	md       MD

	mu     sync.Mutex // guards all below
	err    error
	done   chan struct{}
	armed  bool // the timer and the parent's end cancel it
	timer  *time.Timer
	detach func() bool
	funcs  map[*afterFunc]struct{} // to be called at the end
}

type afterFunc struct{ f func() }

func newCallContext(parent context.Context, timeout int64, md MD) *callContext {
	c := &callContext{parent: parent, md: md}
	if timeout != 0 {
		c.deadline = time.Now().Add(time.Duration(timeout))
	}
	if d, ok := parent.Deadline(); ok && (c.deadline.IsZero() || d.Before(c.deadline)) {
		c.deadline = d
	}
	return c
}

// Deadline implements [context.Context].
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value implements [context.Context].
func (c *callContext) Value(key any) any {
	if key == (metadataKey{}) {
		if c.md == nil {
			return nil
		}
		return c.md
	}
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
func (c *callContext) endedAlone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil && c.parent.Err() == nil
}

// Done implements [context.Context].
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
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
func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.lookLocked()
	}
	return c.err
}

// lookLocked finds out whether the end has come, for those who ask without waiting.
func (c *callContext) lookLocked() {
	if err := c.parent.Err(); err != nil {
		c.cancelLocked(err)
	} else if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.cancelLocked(context.DeadlineExceeded)
	}
}

// AfterFunc makes context.WithCancel and its kin on top of this context start no goroutine.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
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

func (c *callContext) forget(a *afterFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.funcs[a]
	delete(c.funcs, a)
	return ok
}

// armLocked sees to it that the end comes by itself.
func (c *callContext) armLocked() {
	if c.armed || c.err != nil {
		return
	}
	c.armed = true
	if c.lookLocked(); c.err != nil {
		return
	}
	if c.parent.Done() != nil {
		c.detach = context.AfterFunc(c.parent, func() { c.cancel(c.parent.Err()) })
	}
	if !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
}

func (c *callContext) cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelLocked(err)
}

func (c *callContext) cancelLocked(err error) {
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
