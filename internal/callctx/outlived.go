package callctx

import (
	"context"
	"sync"
)

// maxOutlived is how many contexts an Outlived keeps, each of some 300 bytes.
const maxOutlived = 256

// Outlived keeps contexts that have been left: the latest. A goroutine may wait for their end,
// which is their parent's, and nothing tells when none does any more. The zero value is ready.
type Outlived struct {
	mu     sync.Mutex // guards all below; no context's lock is taken under it
	kept   []*Context
	oldest int // in kept, once that is full
}

// End says that the call of a context is over. One that has an end of its own, a stream's or one
// with a deadline, ends. Any other goes on to its parent's end, for goroutines that the call's
// handler has left behind.
func (o *Outlived) End(c *Context, hasEnd bool) {
	switch {
	case hasEnd:
		c.Cancel(context.Canceled)
	case c.leave():
		o.keep(c)
	}
}

// keep keeps a context for which leave has asked for that. For each one that is too many it ends
// the oldest, unless contexts are derived from that: they are in use.
func (o *Outlived) keep(c *Context) {
	if out := o.add(c); out != nil {
		out.forsake()
	}
}

// add keeps a context and returns the one that is kept no longer.
func (o *Outlived) add(c *Context) (out *Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) < maxOutlived {
		o.kept = append(o.kept, c)
		return nil
	}
	out, o.kept[o.oldest] = o.kept[o.oldest], c
	o.oldest = (o.oldest + 1) % maxOutlived
	return out
}
