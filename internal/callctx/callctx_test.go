//go:build go1.25

package callctx

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type testKey struct{}

var bg = context.Background()

func newContext(parent context.Context, timeout time.Duration) *Context {
	c := new(Context)
	c.Init(parent, timeout)
	return c
}

func TestContextsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		for _, test := range []struct {
			parent  context.Context
			timeout time.Duration
			want    time.Duration // 0: none
		}{
			{bg, 0, 0}, {bg, time.Minute, time.Minute}, {soon, 0, time.Second},
			{soon, time.Minute, time.Second}, {soon, time.Millisecond, time.Millisecond},
		} {
			ctx := newContext(test.parent, test.timeout)
			deadline, ok := ctx.Deadline()
			equal(t, ok, test.want != 0)
			if ok {
				equal(t, time.Until(deadline), test.want)
			}
			ctx.Cancel(context.Canceled)
		}
	})
}

// It ends with its deadline, its parent, or by being cancelled, the first of them; whoever asks, in
// whatever way, is told the same.
func TestContextsEnd(t *testing.T) {
	ways := map[string]struct {
		end  func(ctx *Context, cancelParent func())
		want error
	}{
		"deadline": {func(*Context, func()) { elapse(time.Minute) }, context.DeadlineExceeded},
		"parent":   {func(_ *Context, cancelParent func()) { cancelParent() }, context.Canceled},
		"cancel":   {func(ctx *Context, _ func()) { ctx.Cancel(context.Canceled) }, context.Canceled},
	}
	for name, way := range ways {
		for _, early := range []bool{true, false} { // is it watched before the end, or looked at after it
			t.Run(fmt.Sprint(name, " ", early), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancelParent := context.WithCancel(context.WithValue(bg, testKey{}, "value"))
					defer cancelParent()
					ctx := newContext(parent, time.Minute)
					called := make(chan struct{}, 1)
					watch := func() {
						context.AfterFunc(ctx, func() { called <- struct{}{} })
					}
					var child context.Context
					if early {
						equal(t, ctx.Err(), nil)
						watch()
						withCancel, cancel := context.WithCancel(ctx)
						defer cancel()
						child = withCancel
					}
					way.end(ctx, cancelParent)
					synctest.Wait()
					equal(t, ctx.Err(), way.want)
					<-ctx.Done()
					if !early {
						watch()
					} else {
						<-child.Done()
						equal(t, child.Err(), way.want)
					}
					<-called
					ctx.Cancel(context.DeadlineExceeded) // too late
					elapse(time.Hour)
					equal(t, ctx.Err(), way.want)
					equal(t, ctx.Value(testKey{}), any("value"))
					equal(t, len(called), 0)
				})
			})
		}
	}
}

func TestContextsFunctionsAreStopped(t *testing.T) {
	ctx := newContext(bg, 0)
	stop := ctx.AfterFunc(func() { t.Error("it was called") })
	equal(t, stop(), true)
	equal(t, stop(), false)
	ctx.Cancel(context.Canceled)
}

// Of a context that has been left nothing but the parent's end is one, whoever asks.
func TestLeftContextIsNotCancelled(t *testing.T) {
	parent, cancelParent := context.WithCancel(bg)
	ctx := newContext(parent, 0)
	equal(t, ctx.leave(), false)
	ctx.Cancel(context.Canceled)
	equal(t, ctx.Err(), nil)
	equal(t, ctx.Done() == parent.Done(), true)
	cancelParent()
	equal(t, ctx.Err(), context.Canceled)
}

// A context of a call's, asked by many while it ends from several sides.
func TestRaceContext(t *testing.T) {
	for i := range 300 {
		parent, cancelParent := context.WithCancel(context.WithValue(bg, testKey{}, "value"))
		ctx := newContext(parent, time.Duration(i%10)*50*time.Microsecond+1)
		var all sync.WaitGroup
		var called atomic.Int32
		for range 3 {
			all.Go(func() {
				child, cancel := context.WithCancel(ctx)
				defer cancel()
				<-child.Done()
				if child.Err() != ctx.Err() {
					t.Errorf("%v below %v", child.Err(), ctx.Err())
				}
			})
			all.Go(func() {
				for ctx.Err() == nil {
					runtime.Gosched()
				}
				<-ctx.Done()
			})
			all.Go(func() {
				ran := make(chan struct{})
				stop := context.AfterFunc(ctx, func() { called.Add(1); close(ran) })
				if i%2 == 0 || !stop() {
					<-ran
				}
			})
			all.Go(func() {
				if ctx.Value(testKey{}) != "value" {
					t.Error("no value")
				}
				if _, ok := ctx.Deadline(); !ok {
					t.Error("no deadline")
				}
			})
		}
		all.Go(cancelParent)
		if i%3 == 0 {
			all.Go(func() { ctx.Cancel(context.Canceled) })
		}
		all.Wait()
		if n := called.Load(); n > 3 || i%2 == 0 && n != 3 {
			t.Fatalf("%d functions called", n)
		}
	}
}

// elapse lets time go by in a synctest bubble.
func elapse(d time.Duration) { <-time.NewTimer(d).C }

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}
