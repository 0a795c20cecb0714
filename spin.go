package ttrpc

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Waiting for an answer that takes 2 µs costs 25 where the thread parks for it: the processor goes to sleep, and
// its waking is the larger part of a call. So one who waits for a frame that is likely to come at once asks the
// descriptor for it a few times more before it parks. It is done where one thing at a time is in flight, by one
// goroutine of the process at a time, and the less often the less it has paid lately.
const (
	spinTime  = 40 * time.Microsecond // of one wait: about what the parking costs
	spinRun   = 2 * time.Millisecond  // without parking: others may need the thread, and to know what the network has for them
	spinSkips = 10                    // log2 of the waits without, at the most
)

var (
	canSpin  = runtime.NumCPU() > 1 // with one, whoever is waited for needs it
	spinning atomic.Bool            // somebody does
)

// spin is how a reader does this.
type spin struct {
	parked time.Duration // when it did so last, on the clock
	misses int           // in vain since the last that was not
	skip   int           // waits to go without
}

// read asks until something is there or spinTime is over. It does nothing when it is not worth it.
func (s *spin) read(fd uintptr, b []byte) (n int, err error) {
	if s.skip > 0 {
		s.skip--
		return 0, errWouldBlock
	}
	now := clock()
	if !canSpin || now-s.parked > spinRun || !spinning.CompareAndSwap(false, true) {
		return 0, errWouldBlock
	}
	err = errWouldBlock
	for end := now + spinTime; err == errWouldBlock && now < end; now = clock() {
		n, err = tryRead(fd, b)
	}
	spinning.Store(false)
	s.judge(err != errWouldBlock)
	return n, err
}

func (s *spin) judge(paid bool) {
	if paid {
		s.misses = 0
		return
	}
	s.misses++
	s.skip = 1 << min(s.misses, spinSkips)
}
