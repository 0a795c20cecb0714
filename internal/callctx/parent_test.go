//go:build go1.25

package callctx

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// owner counts the ends of its context.
type owner struct{ ended int }

func (o *owner) ContextEnded() { o.ended++ }

// It ends with its base, or by itself, once, and tells its owner; those below it end with it.
func TestParentEnds(t *testing.T) {
	for name, end := range map[string]func(p *Parent, cancelBase func()){
		"itself": func(p *Parent, _ func()) { p.End() },
		"twice":  func(p *Parent, _ func()) { p.End(); p.End() },
		"base":   func(_ *Parent, cancelBase func()) { cancelBase() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base, cancelBase := context.WithCancel(context.WithValue(bg, testKey{}, "value"))
				defer cancelBase()
				var p Parent
				var o owner
				p.Init(base, &o)
				equal(t, p.Base(), base)
				ctx := p.Context()
				equal(t, p.Context(), ctx)
				equal(t, ctx.Err(), nil)
				equal(t, ctx.Value(OwnerKey{}), any(&o))
				equal(t, ctx.Value(testKey{}), any("value"))
				child := newContext(ctx, 0)
				equal(t, child.Value(OwnerKey{}), any(&o))
				synctest.Wait()
				equal(t, o.ended, 0)
				end(&p, cancelBase)
				synctest.Wait()
				equal(t, o.ended, 1)
				equal(t, ctx.Err(), context.Canceled)
				equal(t, child.Err(), context.Canceled)
			})
		})
	}
}

// Whoever asks for it after the end is not left with one that never ends.
func TestParentThatIsMadeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Parent
		var o owner
		p.Init(bg, &o)
		p.End()
		equal(t, p.Context().Err(), context.Canceled)
		equal(t, p.Context().Value(OwnerKey{}), any(&o))
		synctest.Wait()
		equal(t, o.ended, 1)
	})
}

// There is one, however many ask for it while it ends.
func TestRaceParent(t *testing.T) {
	for range 300 {
		var p Parent
		p.Init(bg, ignored{})
		var all sync.WaitGroup
		got := make(chan context.Context, 4)
		for range 4 {
			all.Go(func() { got <- p.Context() })
		}
		all.Go(p.End)
		all.Wait()
		first := <-got
		for range 3 {
			equal(t, <-got, first)
		}
		equal(t, first.Err(), context.Canceled)
	}
}

// ignored is an owner who does not look.
type ignored struct{}

func (ignored) ContextEnded() {}
