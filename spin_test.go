//go:build go1.25

package ttrpc

import (
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// spinOn returns a spin that has just parked, how to run it on one end of a socket, and the other end.
func spinOn(t *testing.T) (s *spin, read func() (string, error), peer net.Conn) {
	if !canTryIO {
		t.Skip("no descriptors here")
	}
	before := canSpin
	canSpin = true
	t.Cleanup(func() { canSpin = before })
	a, b := pair(t, "unix")
	raw := rawConn(a)
	s = &spin{until: clock() + time.Hour} // recent, however slow the machine
	buf := make([]byte, 100)
	return s, func() (text string, err error) {
		check(t, raw.Control(func(fd uintptr) {
			var n int
			n, err = s.read(fd, buf)
			text = string(buf[:n])
		}))
		return text, err
	}, b
}

func TestSpinReadsWhatIsThere(t *testing.T) {
	s, read, peer := spinOn(t)
	s.misses = 3
	_, err := peer.Write([]byte("here"))
	check(t, err)
	got, err := read()
	check(t, err)
	equal(t, got, "here")
	equal(t, *s, spin{until: s.until})
	equal(t, spinning.Load(), false)
	check(t, peer.Close())
	if _, err := read(); err == nil || err == errWouldBlock {
		t.Error("the end was not seen:", err)
	}
}

// Each failure in a row doubles the waits without a spin, up to a bound; they use no time at all.
func TestSpinInVainIsRarer(t *testing.T) {
	s, read, _ := spinOn(t)
	for miss := 1; miss < spinSkips+3; miss++ {
		_, err := read()
		equal(t, err, error(errWouldBlock))
		equal(t, s.misses, miss)
		skips := 1 << min(miss, spinSkips)
		for ; skips > 0; skips-- {
			equal(t, s.skip, skips)
			_, err := read()
			equal(t, err, error(errWouldBlock))
		}
		equal(t, s.misses, miss)
	}
}

// A wait may take longer after a large frame, but not after any.
func TestSpinLimit(t *testing.T) {
	for bytes, limit := range map[int]time.Duration{
		0: spinTime, 64 << 10: spinTime + 65536*time.Nanosecond, maxMaxMessage: spinTime + spinBytes*time.Nanosecond,
	} {
		equal(t, (&spin{bytes: bytes}).limit(), limit)
	}
}

// One spins at a time, for so long without parking, and not for the processor that the peer needs.
func TestSpinIsBounded(t *testing.T) {
	s, read, peer := spinOn(t)
	_, err := peer.Write([]byte("not read"))
	check(t, err)
	wantNone := func() {
		t.Helper()
		_, err := read()
		equal(t, err, error(errWouldBlock))
		equal(t, s.misses, 0)
	}
	s.until = clock() - 1
	wantNone()
	s.until = clock() + time.Hour
	spinning.Store(true)
	wantNone()
	spinning.Store(false)
	canSpin = false
	wantNone()
}

// After it has parked it may go on for a while, and where nobody else can run meanwhile for a shorter one.
func TestSpinRun(t *testing.T) {
	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	var s spin
	for procs, run := range map[int]time.Duration{1: soloRun, 2: spinRun} {
		runtime.GOMAXPROCS(procs)
		before := clock()
		s.park()
		if s.until < before+run || s.until > clock()+run {
			t.Errorf("with %d processors: until %v, parked between %v and %v", procs, s.until, before, clock())
		}
	}
}

// In a bubble of testing/synctest the clock stands still while somebody runs.
func TestSpinEndsWhereTheClockStandsStill(t *testing.T) {
	s, read, _ := spinOn(t)
	synctest.Test(t, func(t *testing.T) {
		s.until = clock() + time.Hour
		_, err := read()
		equal(t, err, error(errWouldBlock))
		equal(t, s.misses, 1)
	})
}
