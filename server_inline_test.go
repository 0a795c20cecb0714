//go:build go1.25

package ttrpc

import (
	"testing"
	"time"
)

func TestSpeed(t *testing.T) {
	var s speed
	run := func(n int, took time.Duration) {
		for range n {
			s.judge(took, 0)
		}
	}
	wantTrust := func(lone, crowd bool) {
		t.Helper()
		equal(t, s.trusted(true), lone)
		equal(t, s.trusted(false), crowd)
	}
	run(quickEnough-1, briefRun/2)
	wantTrust(false, false)
	run(1, briefRun/2)
	wantTrust(true, true)
	run(100, 2*briefRun)
	wantTrust(true, false)
	run(100, briefRun/2)
	wantTrust(true, true)
	run(1, 2*quickRun)
	wantTrust(false, false)
	run(100, briefRun/2)
	wantTrust(true, true)
	s.judge(quickRun+byteTime(64<<10), 64<<10) // slow for its bytes, it is not
	wantTrust(true, false)
	run(100, briefRun/2)
	wantTrust(true, true)
	for needed := distrust; needed <= 8*distrust; needed *= 2 {
		s.suspect()
		s.suspected.Add(-int64(soonEnded)) // it was long ago
		s.settle()
		run(needed+quickEnough-1, briefRun/2)
		wantTrust(false, false)
		run(1, briefRun/2)
		wantTrust(true, true)
	}
	run(1000, 2*quickRun)
	run(2*quickEnough, 0) // it is forgotten
	wantTrust(true, true)
	for range 64 {
		s.suspect()
	}
	equal(t, s.quick.Load(), -maxDistrust)
	s.suspected.Add(int64(time.Hour)) // just now, however slow this machine
	s.settle()
	equal(t, s.distrust.Load(), maxDistrust/2)
	wantTrust(false, false)
	run(quickEnough, briefRun/2)
	wantTrust(true, false)
	run(100, briefRun/2)
	wantTrust(true, true)
}

// Whatever the rhythm in which a client calls its methods, each of them is sampled.
func TestSamplesAreInNoRhythm(t *testing.T) {
	const calls = 1 << 16
	for period := uint32(1); period <= 64; period++ {
		samples := make([]int, period)
		for i := range uint32(calls) {
			if (&serverCall{id: 2*i + 1}).sampled() {
				samples[i%period]++
			}
		}
		expected := calls / 16 / int(period)
		for at, n := range samples {
			if n < expected/4 || n > expected*4 {
				t.Errorf("of each %d calls number %d was sampled %d times, not some %d times", period, at, n, expected)
			}
		}
	}
}
