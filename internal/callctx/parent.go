package callctx

import (
	"context"
	"sync/atomic"
)

// Owner is the connection of a Parent.
type Owner interface {
	// ContextEnded is called on a goroutine of its own when the context has ended.
	ContextEnded()
}

// OwnerKey is the key by which a Parent's context, and those below it, tell the Owner.
type OwnerKey struct{}

// Parent is the parent of the contexts of all calls on a connection. It ends with the connection,
// and is made when somebody asks for it.
type Parent struct {
	base  context.Context
	owner Owner
	made  atomic.Pointer[parentContext] // nil: nobody has asked
	ended atomic.Bool
}

// parentContext is a base's child that knows the owner.
type parentContext struct {
	context.Context
	cancel context.CancelFunc
	owner  Owner
}

// Value implements [context.Context].
func (c *parentContext) Value(key any) any {
	if key == (OwnerKey{}) {
		return c.owner
	}
	return c.Context.Value(key)
}

// Init says of which context this is a child, and whose it is.
func (p *Parent) Init(base context.Context, owner Owner) { p.base, p.owner = base, owner }

// Base is what Init has said.
func (p *Parent) Base() context.Context { return p.base }

// Context returns the context, which has ended already after End.
func (p *Parent) Context() context.Context {
	if c := p.made.Load(); c != nil {
		return c
	}
	return p.make()
}

// make makes the context, unless another does so first.
func (p *Parent) make() context.Context {
	ctx, cancel := context.WithCancel(p.base)
	c := &parentContext{ctx, cancel, p.owner}
	if !p.made.CompareAndSwap(nil, c) {
		cancel()
		return p.made.Load()
	}
	context.AfterFunc(ctx, p.owner.ContextEnded)
	if p.ended.Load() { // or else End sees the context
		cancel()
	}
	return c
}

// End ends the context.
func (p *Parent) End() {
	p.ended.Store(true)
	if c := p.made.Load(); c != nil {
		c.cancel()
	}
}
