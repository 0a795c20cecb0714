//go:build go1.25

package transport

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// parked counts the waits that park until one may ask again.
func parked(c *contention) (n int) {
	for !c.mayAsk(false) {
		n++
	}
	return n
}

// The backoff grows with each contended wait, up to a bound, and shrinks with what others find.
func TestContentionBacksOff(t *testing.T) {
	var c contention
	testkit.Equal(t, c.mayAsk(false), true)
	for _, want := range []int{4, 16, 64, 256, 1024, 4096, 4096} {
		testkit.Equal(t, c.mayAsk(true), false)
		testkit.Equal(t, parked(&c), want)
	}
	for range contendedMax - 1 {
		c.found()
	}
	testkit.Equal(t, c.mayAsk(true), false)
	testkit.Equal(t, parked(&c), 8)
	for range 5 {
		c.found()
	}
	testkit.Equal(t, c.exponent.Load(), 0)
}

// A contended wait parks, and so do the next ones, on whichever connection.
func TestContendedWaitParks(t *testing.T) {
	tr, s, peer := spinOn(t)
	spinning.Store(true)
	wantNothing(t, tr)
	spinning.Store(false)
	_, err := peer.Write(data(1, "here").Bytes())
	testkit.Check(t, err)
	for range 1 << contendedStep {
		wantNothing(t, tr)
	}
	testkit.Equal(t, s.misses, 0)
	if in := tr.TryRecv(); in == nil {
		t.Fatal("it was not asked for")
	}
	testkit.Equal(t, asking.exponent.Load(), contendedStep-1)
}
