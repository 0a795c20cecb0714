package ttrpc

import "github.com/containerd/ttrpc/internal/callctx"

type callKey struct{}

// callContext is the context of one call that has more to it than its connection: a deadline,
// metadata, an end of its own.
type callContext struct {
	callctx.Context
	md MD
}

// base is what there is of it without metadata; nil for nil.
func (c *callContext) base() *callctx.Context {
	if c == nil {
		return nil
	}
	return &c.Context
}

// Value implements [context.Context].
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case metadataKey:
		if c.md != nil { // or else Serve's context may have some
			return c.md
		}
	case callKey:
		return c
	}
	return c.Context.Value(key)
}

// callContexts makes those of calls.
var callContexts callctx.Pool[callContext]
