//go:build go1.25

package transport

import (
	"runtime"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// yieldsBy has f run where the processor is given away, and that take so long. No wait is over
// before it has yielded, however slow the machine.
func yieldsBy(t *testing.T, took time.Duration, f func()) {
	before, patience := yield, spinTime
	spinTime = time.Minute
	yield = func(time.Duration) time.Duration {
		f()
		return took
	}
	t.Cleanup(func() { yield, spinTime = before, patience })
}

// Many long waits have those that follow yield. Then others are tried, and a few tell whether the
// next yield again.
func TestYieldWhereWaitsAreLong(t *testing.T) {
	var y yielding
	for range yieldMany / yieldScore {
		testkit.Equal(t, y.begin(0), false)
		y.waited(false, true)
	}
	for range 2 {
		for range yieldWaits {
			testkit.Equal(t, y.begin(0), true)
		}
		testkit.Equal(t, y.begin(0), false)
		y.waited(false, false)
		testkit.Equal(t, y.begin(0), false)
		y.waited(false, true)
	}
}

// Where most waits are short, none yields, be there as many long ones as there may.
func TestYieldNotWhereFewWaitsAreLong(t *testing.T) {
	var y yielding
	for range yieldMany {
		y.waited(false, true)
		for range yieldScore {
			testkit.Equal(t, y.begin(0), false)
			y.waited(false, false)
		}
	}
	y.waited(false, false)
	testkit.Equal(t, y, yielding{})
}

// A wait that is to yield lets the peer run between its asks, and any other does not.
func TestYieldLetsThePeerRun(t *testing.T) {
	for name, test := range map[string]struct {
		bytes  int
		yields yielding
		want   bool
	}{
		"behind long waits": {0, yielding{left: 1}, true},
		"behind short ones": {0, yielding{}, false},
		"for a large frame": {yieldBytes, yielding{}, true},
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

// With GOMAXPROCS=1 all waits between two parkings yield.
func TestYieldAlone(t *testing.T) {
	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	for procs, left := range map[int]int{1: yieldWaits, 2: 0} {
		runtime.GOMAXPROCS(procs)
		var s spin
		s.park()
		testkit.Equal(t, s.yields, yielding{left: left})
	}
}

// A wait that brings nothing is a long one.
func TestYieldCountsWaitsInVain(t *testing.T) {
	tr, s, _ := spinOn(t)
	wantNothing(t, tr)
	testkit.Equal(t, s.yields.score, yieldScore)
}

// Whoever has to wait for its processor after a yield has what has come meanwhile, and parks at
// once for some waits: the more often, the longer.
func TestYieldThatIsSlow(t *testing.T) {
	tr, s, peer := spinOn(t)
	yields := 0
	yieldsBy(t, yieldSlow, func() {
		yields++
		_, err := peer.Write(data(1, "an answer").Bytes())
		testkit.Check(t, err)
	})
	for slow := range slowSkips + 2 {
		yields, s.skip, s.yields.left, s.until = 0, 0, 2, Clock()+time.Hour
		if in := tr.TryRecv(); in == nil {
			t.Fatal("what has come meanwhile was not found")
		}
		testkit.Equal(t, yields, 1)
		testkit.Equal(t, s.skip, 1<<min(slow, slowSkips))
		testkit.Equal(t, s.yields, yielding{left: 1, slow: min(slow+1, slowSkips)})
	}
}

// A slow yield that brings nothing has no fewer waits park than one that does, or another miss.
func TestYieldThatIsSlowInVain(t *testing.T) {
	tr, s, _ := spinOn(t)
	yieldsBy(t, yieldSlow, func() {})
	s.yields, s.misses = yielding{left: 1, slow: 3}, spinMisses
	wantNothing(t, tr)
	testkit.Equal(t, s.skip, 1<<3)
}

// A wait whose yields are quick makes up for one with a slow one.
func TestYieldThatIsQuickCounts(t *testing.T) {
	tr, s, peer := spinOn(t)
	yieldsBy(t, 0, func() {
		_, err := peer.Write(data(1, "an answer").Bytes())
		testkit.Check(t, err)
	})
	s.yields = yielding{left: 1, slow: 2}
	if in := tr.TryRecv(); in == nil {
		t.Fatal("it was not found")
	}
	testkit.Equal(t, s.yields, yielding{slow: 1})
}
