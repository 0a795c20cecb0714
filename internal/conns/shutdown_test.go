//go:build go1.25

package conns

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// comeTo has a connection come to a stage.
func (c *fake) comeTo(s *Set[*fake], stage Stage) {
	c.stage.Store(uint32(stage))
	s.Advanced()
}

// started calls f, and returns its result when there is one.
func started(f func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	synctest.Wait()
	return result
}

// Close cuts all connections, and waits for none.
func TestCloseCuts(t *testing.T) {
	s, _ := newSet(0)
	a, b := added(t, s, "a"), added(t, s, "b")
	testkit.Check(t, s.Close())
	for _, c := range []*fake{a, b} {
		testkit.Equal(t, c.cut.Load(), 1)
		testkit.Equal(t, c.drained.Load(), 0)
	}
}

// Shutdown has connections drain, and waits until the last is open no more, whatever its stage.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSet(0)
		a, b := added(t, s, "a"), added(t, s, "b")
		done := started(func() error { return s.Shutdown(t.Context()) })
		for _, c := range []*fake{a, b} {
			testkit.Equal(t, c.drained.Load(), 1)
			testkit.Equal(t, c.cut.Load(), 0)
			c.comeTo(s, Written)
		}
		s.remove(a)
		synctest.Wait()
		testkit.Equal(t, len(done), 0)
		s.remove(b)
		testkit.Check(t, <-done)
	})
}

// The end of its context ends a Shutdown, but where there is nothing to wait for. It is an error
// where calls have not been answered, or the answers are not written within a moment.
func TestShutdownWithAContextThatEnds(t *testing.T) {
	for name, test := range map[string]struct {
		first, then Stage
		fails       bool
		takes       time.Duration
	}{
		"busy":              {Busy, Busy, true, 0},
		"quiet":             {Quiet, Quiet, true, 0},
		"answered":          {Answered, Answered, true, flushGrace},
		"written":           {Written, Written, false, 0},
		"written soon":      {Answered, Written, false, 0},
		"a handler is back": {Answered, Busy, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newSet(0)
				c := added(t, s, "c")
				added(t, s, "ahead").comeTo(s, Written)
				ctx, cancel := context.WithCancel(t.Context())
				c.comeTo(s, test.first)
				start := time.Now()
				done := started(func() error { return s.Shutdown(ctx) })
				testkit.Equal(t, len(done), 0)
				cancel()
				synctest.Wait()
				c.comeTo(s, test.then)
				err := <-done
				testkit.Equal(t, err != nil, test.fails)
				testkit.Equal(t, err == nil || err == context.Canceled, true)
				testkit.Equal(t, time.Since(start), test.takes)
			})
		})
	}
}

// Without connections it has succeeded, also with a context that has ended.
func TestShutdownOfAnEmptySet(t *testing.T) {
	s, _ := newSet(0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	testkit.Check(t, s.Shutdown(ctx))
	testkit.Check(t, s.ShutdownWithin(ctx))
}

// The error of a listener is that of a shutdown that has succeeded, of either kind.
func TestShutdownTellsAListenersError(t *testing.T) {
	for _, shutdown := range []func(*Set[*fake], context.Context) error{(*Set[*fake]).Shutdown, (*Set[*fake]).ShutdownWithin} {
		s, _ := newSet(0)
		l := newListener()
		l.fails = errBroken
		testkit.Equal(t, s.addListener(l), true)
		testkit.Equal(t, shutdown(s, t.Context()), errBroken)
	}
}

// A handler's shutdown waits until the calls of all connections are those of such handlers, or for
// the end of its context.
func TestShutdownWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSet(0)
		a, b, gone := added(t, s, "a"), added(t, s, "b"), added(t, s, "gone")
		ctx, cancel := context.WithCancel(t.Context())
		done := started(func() error { return s.ShutdownWithin(ctx) })
		given := started(func() error { return s.ShutdownWithin(t.Context()) })
		testkit.Equal(t, a.drained.Load(), 2)
		a.comeTo(s, Quiet)
		cancel()
		testkit.Equal(t, <-done, context.Canceled)
		b.comeTo(s, Answered)
		synctest.Wait()
		testkit.Equal(t, len(given), 0)
		s.remove(gone)
		testkit.Check(t, <-given)
	})
}

// A connection that takes long to be closed counts as closed before.
func TestRemoveWaitsForAMoment(t *testing.T) {
	for _, takes := range []time.Duration{0, closeGrace - 1, closeGrace + 1, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s, told := newSet(0)
			over := make(chan struct{})
			c := new(fake)
			s.Add(c, over)
			start, closed := time.Now(), make(chan struct{})
			go func() {
				s.Remove(c, func() { <-time.NewTimer(takes).C })
				close(closed)
			}()
			<-over
			testkit.Equal(t, time.Since(start), min(takes, closeGrace))
			<-closed
			testkit.Equal(t, time.Since(start), takes)
			testkit.Equal(t, len(*told), 2)
		})
	}
}
