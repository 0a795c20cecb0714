//go:build go1.25

package callctx

import (
	"context"
	"testing"
)

// leftContext is a context whose method has returned while a goroutine waits for its end.
func leftContext(t *testing.T, parent context.Context) *Context {
	ctx := newContext(parent, 0)
	ctx.Done()
	equal(t, ctx.leave(), true)
	return ctx
}

// What has an end of its own ends with its call, and what has none does not.
func TestEndOfACall(t *testing.T) {
	parent, cancelParent := context.WithCancel(bg)
	defer cancelParent()
	for _, waits := range []bool{false, true} {
		for _, hasEnd := range []bool{false, true} {
			var o Outlived
			ctx := newContext(parent, 0)
			if waits {
				ctx.Done()
			}
			o.End(ctx, hasEnd)
			equal(t, ctx.Err() != nil, hasEnd)
			equal(t, len(o.kept) == 1, waits && !hasEnd)
		}
	}
}

// The latest contexts are kept. The others have ended, but for those from which others are derived.
func TestOutlivedKeepsTheLatest(t *testing.T) {
	const derived = 7
	parent, cancelParent := context.WithCancel(bg)
	defer cancelParent()
	var o Outlived
	var all []*Context
	for i := range 3*maxOutlived + 10 {
		ctx := leftContext(t, parent)
		if i == derived {
			_, cancel := context.WithCancel(ctx)
			defer cancel()
		}
		o.keep(ctx)
		all = append(all, ctx)
	}
	first := len(all) - maxOutlived
	for i, ctx := range all {
		if ended := ctx.Err() != nil; ended != (i < first && i != derived) {
			t.Errorf("context %d of %d has ended: %v", i, len(all), ended)
		}
	}
	equal(t, len(o.kept), maxOutlived)
}
