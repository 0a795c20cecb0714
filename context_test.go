//go:build go1.25

package ttrpc

import (
	"context"
	"fmt"
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
			{bg, 0, 0}, {bg, time.Minute, time.Minute}, {soon, 0, time.Second}, {soon, time.Minute, time.Second}, {soon, time.Millisecond, time.Millisecond},
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

// It ends with its deadline, its parent, or by being cancelled, the first of them; whoever asks, in whatever way, is
// told the same.
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
