//go:build go1.25

package ttrpc

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

func TestCallContextsDeadline(t *testing.T) {
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
			ctx := newCallContext(test.parent, int64(test.timeout), nil)
			deadline, ok := ctx.Deadline()
			equal(t, ok, test.want != 0)
			if ok {
				equal(t, time.Until(deadline), test.want)
			}
			ctx.cancel(context.Canceled)
		}
	})
}

// It ends with its deadline, its parent, or by being cancelled, the first of them; whoever asks, in
// whatever way, is told the same.
func TestCallContextsEnd(t *testing.T) {
	ways := map[string]struct {
		end  func(ctx *callContext, cancelParent func())
		want error
	}{
		"deadline": {func(*callContext, func()) { elapse(time.Minute) }, context.DeadlineExceeded},
		"parent":   {func(_ *callContext, cancelParent func()) { cancelParent() }, context.Canceled},
		"cancel":   {func(ctx *callContext, _ func()) { ctx.cancel(context.Canceled) }, context.Canceled},
	}
	for name, way := range ways {
		for _, early := range []bool{true, false} { // is it watched before the end, or looked at after it
			t.Run(fmt.Sprint(name, " ", early), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancelParent := context.WithCancel(context.WithValue(bg, testKey{}, "value"))
					defer cancelParent()
					ctx := newCallContext(parent, int64(time.Minute), MD{"k": {"v"}})
					called := make(chan struct{}, 1)
					watch := func() {
						context.AfterFunc(ctx, func() { called <- struct{}{} })
					}
					var child context.Context
					if early {
						check(t, ctx.Err())
						watch()
						withCancel, cancel := context.WithCancel(ctx)
						defer cancel()
						child = withCancel
					}
					way.end(ctx, cancelParent)
					synctest.Wait()
					wantExactly(t, ctx.Err(), way.want)
					<-ctx.Done()
					if !early {
						watch()
					} else {
						<-child.Done()
						wantExactly(t, child.Err(), way.want)
					}
					<-called
					ctx.cancel(context.DeadlineExceeded) // too late
					elapse(time.Hour)
					wantExactly(t, ctx.Err(), way.want)
					equal(t, ctx.Value(testKey{}), any("value"))
					equal(t, len(called), 0)
				})
			})
		}
	}
}

func TestCallContextsFunctionsAreStopped(t *testing.T) {
	ctx := newCallContext(bg, 0, nil)
	stop := ctx.AfterFunc(func() { t.Error("it was called") })
	equal(t, stop(), true)
	equal(t, stop(), false)
	ctx.cancel(context.Canceled)
	md, ok := GetMetadata(ctx)
	equal(t, md == nil && !ok, true)
}

// A context of a call's, asked by many while it ends from several sides.
func TestRaceCallContext(t *testing.T) {
	for i := range 300 {
		parent, cancelParent := context.WithCancel(bg)
		ctx := newCallContext(parent, int64(time.Duration(i%10)*50*time.Microsecond)+1, MD{"k": {"v"}})
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
				if v, ok := GetMetadataValue(ctx, "K"); !ok || v != "v" {
					t.Error("no metadata")
				}
				if _, ok := ctx.Deadline(); !ok {
					t.Error("no deadline")
				}
			})
		}
		all.Go(cancelParent)
		if i%3 == 0 {
			all.Go(func() { ctx.cancel(context.Canceled) })
		}
		all.Wait()
		if n := called.Load(); n > 3 || i%2 == 0 && n != 3 {
			t.Fatalf("%d functions called", n)
		}
	}
}
