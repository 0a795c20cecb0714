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
	spinTime  = 40 * time.Microsecond // of one wait, beside the time for a frame's bytes: about what the parking costs
	spinBytes = 100 << 10             // for so many at the most
	spinRun   = 2 * time.Millisecond  // without parking, when there are other threads to do what else there is
	soloRun   = spinRun / 8           // the same when there are none: nobody even looks at the other connections meanwhile
	spinTries = 2000                  // more than fit into it, for a clock that stands still (testing/synctest has one)
	spinSkips = 10                    // log2 of the waits without, at the most
)

var (
	canSpin  = runtime.NumCPU() > 1 // with one, whoever is waited for needs it
	spinning atomic.Bool            // somebody does
)

// byteTime is what n bytes take that somebody decodes, handles and encodes, before they are here (again): a nanosecond each.
func byteTime(n int) time.Duration { return time.Duration(n) }

// spin is how a reader does this.
type spin struct {
	bytes  int           // in the frame before, which the next one is expected to be like
	until  time.Duration // on the clock: then it has to park again
	misses int           // in vain since the last that was not
	skip   int           // waits to go without
}

// read asks until something is there or its time is over. It does nothing when it is not worth it.
func (s *spin) read(fd uintptr, b []byte) (n int, err error) {
	if s.skip > 0 {
		s.skip--
		return 0, errWouldBlock
	}
	now := clock()
	if !canSpin || now > s.until || !spinning.CompareAndSwap(false, true) {
		return 0, errWouldBlock
	}
	err = errWouldBlock
	for tries, end := spinTries, now+s.limit(); err == errWouldBlock && tries > 0 && now < end; now = clock() {
		tries--
		n, err = tryRead(fd, b)
	}
	spinning.Store(false)
	s.judge(err != errWouldBlock)
	return n, err
}

// limit is how long one wait may take.
func (s *spin) limit() time.Duration { return spinTime + byteTime(min(s.bytes, spinBytes)) }

// park is called when the reader does.
func (s *spin) park() {
	run := spinRun
	if runtime.GOMAXPROCS(0) == 1 {
		run = soloRun
	}
	s.until = clock() + run
}

func (s *spin) judge(paid bool) {
	if paid {
		s.misses = 0
		return
	}
	s.misses++
	s.skip = 1 << min(s.misses, spinSkips)
}
