//go:build go1.25

package transport

import (
	"runtime"
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

// Many long waits have those that follow yield. Then others are tried, and a few tell whether the
// next yield again.
func TestYieldWhereWaitsAreLong(t *testing.T) {
	var y yielding
	for range yieldMany / yieldScore {
		testkit.Equal(t, y.begin(0), false)
		y.waited(true)
	}
	for range 2 {
		for range yieldWaits {
			testkit.Equal(t, y.begin(0), true)
		}
		testkit.Equal(t, y.begin(0), false)
		y.waited(false)
		testkit.Equal(t, y.begin(0), false)
		y.waited(true)
	}
}

// Where most waits are short, none yields, be there as many long ones as there may.
func TestYieldNotWhereFewWaitsAreLong(t *testing.T) {
	var y yielding
	for range yieldMany {
		y.waited(true)
		for range yieldScore {
			testkit.Equal(t, y.begin(0), false)
			y.waited(false)
		}
	}
	y.waited(false)
	testkit.Equal(t, y, yielding{})
}

// A wait that is to yield lets the peer run between its asks, and any other does not.
func TestYieldLetsThePeerRun(t *testing.T) {
	for name, test := range map[string]struct {
		bytes  int
		yields yielding
		want   bool
	}{
		"behind long waits":                 {0, yielding{left: 1}, true},
		"behind short ones":                 {0, yielding{}, false},
		"for a large frame":                 {yieldBytes, yielding{}, true},
		"for a large frame that others use": {yieldBytes, yielding{score: -1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tr, s, peer := spinOn(t)
			yieldsBy(t, 0, func() {
				_, err := peer.Write(data(1, "an answer").Bytes())
				testkit.Check(t, err)
			})
			s.bytes, s.yields = test.bytes, test.yields
			testkit.Equal(t, tr.TryRecv() != nil, test.want)
		})
	}
}

// With GOMAXPROCS=1 all waits between two parkings yield, but where others use the processor.
func TestYieldAlone(t *testing.T) {
	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	for score, left := range map[int]int{0: yieldWaits, 1: yieldWaits, -1: 0} {
		s := spin{yields: yielding{score: score}}
		s.park()
		testkit.Equal(t, s.yields.left, left)
	}
	runtime.GOMAXPROCS(2)
	var s spin
	s.park()
	testkit.Equal(t, s.yields, yielding{})
}

// A wait that brings nothing is a long one.
func TestYieldCountsWaitsInVain(t *testing.T) {
	tr, s, _ := spinOn(t)
	wantNothing(t, tr)
	testkit.Equal(t, s.yields.score, yieldScore)
}

// Whoever has to wait for its processor after a yield has what has come meanwhile, and does without
// yields for some time: the more often, the longer.
func TestYieldThatIsSlow(t *testing.T) {
	tr, s, peer := spinOn(t)
	yields := 0
	yieldsBy(t, yieldSlow, func() {
		yields++
		_, err := peer.Write(data(1, "an answer").Bytes())
		testkit.Check(t, err)
	})
	for slow := range yieldRests + 2 {
		yields, s.yields.left, s.until = 0, 2, Clock()+time.Hour
		if in := tr.TryRecv(); in == nil {
			t.Fatal("what has come meanwhile was not found")
		}
		testkit.Equal(t, yields, 1)
		testkit.Equal(t, s.yields, yielding{score: -1 << min(slow, yieldRests), slow: min(slow+1, yieldRests)})
	}
}

// Waits that have all yielded, none of them slowly, make up for slow ones.
func TestYieldThatIsQuickCounts(t *testing.T) {
	y := yielding{left: 2, slow: 2}
	y.begin(0)
	testkit.Equal(t, y, yielding{left: 1, slow: 2})
	y.begin(0)
	testkit.Equal(t, y, yielding{slow: 1})
}
