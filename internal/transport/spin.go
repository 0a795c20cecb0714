package transport

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Waiting for an answer that takes 2 µs costs 25 where the thread parks for it: the processor goes
// to sleep, and its waking is the larger part of a call. So one who waits for a frame that is
// likely to come at once asks the descriptor for it a few times before it parks. One goroutine of
// the process spins so at a time, and the less often the less it has paid lately.
const (
	spinGap    = time.Millisecond     // between two reads: after a longer one the next is not near
	spinBytes  = 100 << 10            // bytes of a frame that make a wait longer, at the most
	spinRun    = 4 * time.Millisecond // between two parkings, when other threads do all else
	soleRun    = spinRun / 16         // the same when no other thread looks at other connections
	spinTries  = 5000                 // more than fit in: in testing/synctest the clock stands still
	spinMisses = 2                    // waits in a row that bring nothing before they become rarer
	spinSkips  = 6                    // log2 of the waits that go without, at the most
)

// spinTime is of one wait, beside its frame's time: what parking costs. It is replaced in tests.
var spinTime = 80 * time.Microsecond

var (
	canSpin  = runtime.NumCPU() > 1 // with one processor, whoever is waited for needs it
	spinning atomic.Bool            // somebody spins
)

var clockStart = time.Now()

// Clock is cheaper than time.Now: it reads the monotonic clock alone.
func Clock() time.Duration { return time.Since(clockStart) }

// ClockAt is what Clock has said, or will say, at a time that has a monotonic reading.
func ClockAt(t time.Time) time.Duration { return t.Sub(clockStart) }

// ClockTime is the time at which Clock has said d.
func ClockTime(d time.Duration) time.Time { return clockStart.Add(d) }

// byteTime is how long the peer takes to decode, handle and encode n bytes: a nanosecond each.
func byteTime(n int) time.Duration { return time.Duration(n) }

// spin is how a reader spins. It is used by the one in the gate; last and gap are read by others.
type spin struct {
	reader *reader
	once   func(fd uintptr) // asks once
	long   func(fd uintptr) // asks for a while

	last   atomic.Int64  // the clock's time of the last read
	gap    atomic.Int64  // between the last two, in nanoseconds
	bytes  int           // in the frame before, which the next one is expected to be like
	until  time.Duration // the clock's time at which it has to park again
	misses int           // waits in a row that have brought nothing
	skip   int           // waits to go without
	yields yielding
}

func (s *spin) init(r *reader) {
	s.reader, s.long = r, s.askUntilFound
	s.once = func(fd uintptr) { r.try(fd) }
}

// ask asks once, and reports whether something is there.
func (s *spin) ask() bool { return s.control(s.once) }

// control has ask run on the descriptor, unless that is closed,
// and reports whether it has found something.
func (s *spin) control(ask func(fd uintptr)) bool {
	before := s.reader.finds
	return s.reader.raw.Control(ask) == nil && s.reader.finds != before
}

// fill asks until something is there or its time is over, and reports which.
// It does nothing when it is not worth it.
func (s *spin) fill() (found bool) {
	if s.skip > 0 {
		s.skip--
		return false
	}
	if !canSpin || Clock() > s.until || !spinning.CompareAndSwap(false, true) {
		s.park()
		return false
	}
	found = s.control(s.long)
	spinning.Store(false)
	s.count(found)
	return found
}

// askUntilFound asks once more when its time is over: it may have lost its processor meanwhile.
func (s *spin) askUntilFound(fd uintptr) {
	yields, over := s.yields.begin(s.bytes), false
	began, limit := Clock(), s.limit()
	for range spinTries {
		found := s.reader.try(fd)
		now := Clock()
		if found || over {
			if s.skip == 0 {
				s.yields.waited(yields, now-began >= limit/2)
			}
			return
		}
		if over = now-began >= limit; yields && !over {
			s.skip = s.yields.yielded(yield(now))
			over = s.skip > 0
		}
	}
}

// Frequent reports whether something comes often: the next is likely to come at once, though nobody
// has asked for it.
func (r *reader) Frequent() bool { return time.Duration(r.spin.gap.Load()) <= spinGap }

// LastRead is the clock's time of the last read that has brought something. It differs after each.
func (r *reader) LastRead() time.Duration { return time.Duration(r.spin.last.Load()) }

// came says that something has been read.
func (s *spin) came() {
	now := int64(Clock())
	s.gap.Store(now - s.last.Swap(now))
}

// limit is how long one wait may take.
func (s *spin) limit() time.Duration {
	return spinTime + byteTime(min(s.bytes, spinBytes))
}

// park says that the one who waits is about to let others run.
func (s *spin) park() {
	run := spinRun
	if runtime.GOMAXPROCS(0) == 1 {
		run = soleRun
		s.yields.alone()
	}
	s.until = Clock() + run
}

// count makes vain waits rarer.
func (s *spin) count(found bool) {
	if found {
		s.misses = 0
		return
	}
	if s.misses++; s.misses > spinMisses {
		s.skip = max(s.skip, 1<<min(s.misses-spinMisses, spinSkips))
	}
	s.park()
}
