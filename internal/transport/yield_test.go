//go:build go1.25

package transport

import (
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// yieldsBy has f run where the processor is given away, and that take so long.
func yieldsBy(t *testing.T, took time.Duration, f func()) {
	before := yield
	yield = func(time.Duration) time.Duration {
		f()
		return took
	}
	t.Cleanup(func() { yield = before })
}

// A peer that has to have the spinner's processor gets it, from the first ask on once that has
// helped.
func TestYieldLetsThePeerRun(t *testing.T) {
	tr, s, peer := spinOn(t)
	yields := 0
	yieldsBy(t, 0, func() {
		if yields++; yields == 1 {
			_, err := peer.Write(data(1, "an answer").Bytes())
			testkit.Check(t, err)
		}
	})
	for late := 1; late <= yieldLearn; late++ {
		testkit.Equal(t, s.yields.begin(), yieldAfter)
		yields, s.skip, s.until = 0, 0, Clock()+time.Hour
		if in := tr.TryRecv(); in == nil {
			t.Fatal("it has not come")
		}
		testkit.Equal(t, s.yields.late, late)
	}
	for left := yieldWaits - 1; left >= 0; left-- {
		testkit.Equal(t, s.yields.begin(), 0)
		testkit.Equal(t, s.yields.atOnce, left)
	}
	testkit.Equal(t, s.yields.begin(), yieldAfter)
}

// What is there at once needs no yield.
func TestYieldIsForgotten(t *testing.T) {
	y := yielding{late: yieldLearn - 1}
	y.found(0)
	y.found(1)
	testkit.Equal(t, y.late, 1)
	testkit.Equal(t, y.begin(), yieldAfter)
}

// Whoever has to wait for its processor after a yield parks for the next times: the more often, the
// longer that goes on, and what has come meanwhile is no sign of the contrary.
func TestYieldThatIsSlowEndsTheSpin(t *testing.T) {
	tr, s, peer := spinOn(t)
	yields := 0
	yieldsBy(t, yieldSlow, func() {
		yields++
		_, err := peer.Write(data(1, "an answer").Bytes())
		testkit.Check(t, err)
	})
	for slow := 1; slow < slowSkips; slow++ {
		yields, s.skip, s.until = 0, 0, Clock()+time.Hour
		if in := tr.TryRecv(); in == nil {
			t.Fatal("what has come meanwhile was not found")
		}
		testkit.Equal(t, yields, 1)
		testkit.Equal(t, s.skip, 1<<min(spinSkips+slow-1, slowSkips))
	}
}

// Quick yields that bring answers make up for slow ones.
func TestYieldThatIsQuickCounts(t *testing.T) {
	var y yielding
	y.slowed()
	y.slowed()
	y.found(1)
	testkit.Equal(t, y.slowed(), 1<<(spinSkips+1))
}

// A wait has given its processor away before it gives up, however late that is.
func TestYieldComesBeforeTheEnd(t *testing.T) {
	tr, _, _ := spinOn(t)
	yields := 0
	yieldsBy(t, yieldSlow-1, func() { yields++ })
	wantNothing(t, tr)
	if yields == 0 {
		t.Error("it has not")
	}
}
