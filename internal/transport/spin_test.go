//go:build go1.25

package transport

import (
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// spinOn returns a Transport on one end of a socket that has just parked, its spin, and the other
// end.
func spinOn(t *testing.T) (tr *Transport, s *spin, peer net.Conn) {
	if !canTryIO {
		t.Skip("no descriptors here")
	}
	before := canSpin
	canSpin = true
	t.Cleanup(func() { canSpin = before })
	asking.backoff.Store(0)
	asking.exponent.Store(0)
	a, b := testkit.Pair(t, "unix")
	tr = newTransport(t, a, Config{})
	t.Cleanup(tr.Discard)
	tr.spin.until = Clock() + time.Hour // recent, however slow the machine
	return tr, &tr.spin, b
}

func wantNothing(t *testing.T, tr *Transport) {
	t.Helper()
	if in := tr.TryRecv(); in != nil {
		t.Fatalf("got %+v", in)
	}
}

func TestSpinReadsWhatIsThere(t *testing.T) {
	tr, s, peer := spinOn(t)
	s.misses = 3
	_, err := peer.Write(data(1, "here").Bytes())
	testkit.Check(t, err)
	in := tr.TryRecv()
	if in == nil {
		t.Fatal("it was not found")
	}
	testkit.Equal(t, string(in.Data()), "here")
	testkit.Equal(t, s.misses, 0)
	testkit.Equal(t, s.skip, 0)
	testkit.Equal(t, s.bytes, wire.HeaderLen+4)
	testkit.Equal(t, spinning.Load(), false)
}

// The end counts as something that was found; whoever waits in the poller tells of it.
func TestSpinFindsTheEnd(t *testing.T) {
	tr, s, peer := spinOn(t)
	s.misses = 3
	testkit.Check(t, peer.Close())
	wantNothing(t, tr)
	testkit.Equal(t, s.misses, 0)
	_, err := tr.Recv(newGate(), true)
	testkit.WantExactly(t, err, io.EOF)
}

// Each failure in a row doubles the waits without a spin, up to a bound; they use no time at all.
func TestSpinInVainIsRarer(t *testing.T) {
	tr, s, _ := spinOn(t)
	yieldsBy(t, 0, func() {})
	for miss := 1; miss < spinSkips+3; miss++ {
		s.until = Clock() + time.Hour
		wantNothing(t, tr)
		testkit.Equal(t, s.misses, miss)
		skips := 0
		if miss > spinMisses {
			skips = 1 << min(miss-spinMisses, spinSkips)
		}
		for ; skips > 0; skips-- {
			testkit.Equal(t, s.skip, skips)
			wantNothing(t, tr)
		}
		testkit.Equal(t, s.misses, miss)
	}
}

// A wait may take longer after a large frame, but not after any.
func TestSpinLimit(t *testing.T) {
	for bytes, limit := range map[int]time.Duration{
		0: spinTime, 64 << 10: spinTime + 65536*time.Nanosecond, wire.MaxData: spinTime + spinBytes*time.Nanosecond,
	} {
		testkit.Equal(t, (&spin{bytes: bytes}).limit(), limit)
	}
}

// One spins at a time, for so long without parking, and not for the processor that the peer needs.
func TestSpinIsBounded(t *testing.T) {
	tr, s, peer := spinOn(t)
	_, err := peer.Write(data(1, "not read").Bytes())
	testkit.Check(t, err)
	wantNone := func() {
		t.Helper()
		wantNothing(t, tr)
		testkit.Equal(t, s.misses, 0)
		if tr.buf != nil {
			t.Error("a buffer is kept")
		}
	}
	s.until = Clock() - 1
	wantNone()
	s.until = Clock() + time.Hour
	spinning.Store(true)
	wantNone()
	spinning.Store(false)
	asking.backoff.Store(0) // as if that wait had not been contended
	canSpin = false
	s.until = Clock() + time.Hour
	wantNone()
}

// After it has parked it may go on for a while, and where nobody else can run meanwhile for a
// shorter one.
func TestSpinRun(t *testing.T) {
	procs := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(procs)
	var s spin
	for procs, run := range map[int]time.Duration{1: soleRun, 2: spinRun} {
		runtime.GOMAXPROCS(procs)
		before := Clock()
		s.park()
		if s.until < before+run || s.until > Clock()+run {
			t.Errorf("with %d processors: until %v, parked between %v and %v", procs, s.until, before, Clock())
		}
	}
}

// In a bubble of testing/synctest the clock stands still while somebody runs.
func TestSpinEndsWhereTheClockStandsStill(t *testing.T) {
	tr, s, _ := spinOn(t)
	synctest.Test(t, func(t *testing.T) {
		s.until = Clock() + time.Hour
		wantNothing(t, tr)
		testkit.Equal(t, s.misses, 1)
	})
}
