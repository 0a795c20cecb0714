//go:build go1.25

package reader

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// woken takes a wake-up.
func woken(consumer chan struct{}) bool {
	select {
	case <-consumer:
		return true
	default:
		return false
	}
}

// The consumer of a large message is woken when the loop leaves, for another one's, or when it has
// got enough.
func TestDelayedWake(t *testing.T) {
	r, _, _ := idleReader(t, new(fakeFrames))
	a, b := make(chan struct{}, 1), make(chan struct{}, 1)
	testkit.Equal(t, r.DelayWake(a, 100_000), false) // nobody reads
	r.Enter()
	testkit.Equal(t, r.DelayWake(a, 100_000), true)
	testkit.Equal(t, r.DelayWake(a, 100_000), true)
	testkit.Equal(t, woken(a), false)
	testkit.Equal(t, r.DelayWake(a, 100_000), false) // the caller wakes it
	r.wakeDelayed()
	testkit.Equal(t, woken(a), false)

	testkit.Equal(t, r.DelayWake(a, 100_000), true)
	testkit.Equal(t, r.DelayWake(b, 100_000), true)
	testkit.Equal(t, woken(a), true)
	testkit.Equal(t, woken(b), false)
	r.Leave()
	testkit.Equal(t, woken(b), true)
}

// A consumer that has not been woken is, before its reader waits for others or runs a call, and
// when a read has brought no more of the same.
func TestDelayedWakeDoesNotWait(t *testing.T) {
	consumer := make(chan struct{}, 1)
	frames := new(fakeFrames)
	r, _, peer := idleReader(t, frames)
	r.Enter()
	for _, before := range []func(){func() { r.Waits() }, func() { r.MayRun() }, r.Leave} {
		testkit.Equal(t, r.DelayWake(consumer, 100_000), true)
		before()
		testkit.Equal(t, woken(consumer), true)
	}
	frames.frame = func(id uint32) bool { return id != 3 || r.DelayWake(consumer, 100_000) }
	_, err := peer.Write(testkit.Data(3, "large"))
	testkit.Check(t, err)
	reads := 0
	r.Loop(false, func() bool {
		testkit.Equal(t, woken(consumer), reads == 1)
		reads++
		_, err := peer.Write(testkit.Data(5, "of another"))
		testkit.Check(t, err)
		return reads == 2
	})
}
