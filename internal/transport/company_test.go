//go:build go1.25

package transport

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// withoutAsking counts the waits that go without until one may ask again.
func withoutAsking(c *company) (n int) {
	for !c.mayAsk(false) {
		n++
	}
	return n
}

// Each meeting makes asking rarer, up to a bound; what a wait has found makes it less rare again.
func TestCompanyMakesAskingRarer(t *testing.T) {
	var c company
	testkit.Equal(t, c.mayAsk(false), true)
	for _, want := range []int{4, 16, 64, 256, 512, 512} {
		testkit.Equal(t, c.mayAsk(true), false)
		testkit.Equal(t, withoutAsking(&c), want)
	}
	for range companyLevel - 1 {
		c.found()
	}
	testkit.Equal(t, c.mayAsk(true), false)
	testkit.Equal(t, withoutAsking(&c), 8)
	for range 5 {
		c.found()
	}
	testkit.Equal(t, c.level.Load(), 0)
}

// One who comes while another asks parks, and so do the next ones, whoever they are.
func TestWhoMeetsAnotherParks(t *testing.T) {
	tr, s, peer := spinOn(t)
	spinning.Store(true)
	wantNothing(t, tr)
	spinning.Store(false)
	_, err := peer.Write(data(1, "here").Bytes())
	testkit.Check(t, err)
	for range 1 << companyStep {
		wantNothing(t, tr)
	}
	testkit.Equal(t, s.misses, 0)
	if in := tr.TryRecv(); in == nil {
		t.Fatal("it was not asked for")
	}
	testkit.Equal(t, askers.level.Load(), companyStep-1)
}
