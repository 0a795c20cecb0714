package transport

import "time"

// The kernel often puts a thread that it wakes on the processor of the one who has woken it. Where
// that one asks the socket for the answer it keeps from running whoever is to give it, for all of
// its time, though another processor is idle. So who has asked for longer than a peer elsewhere
// takes gives the processor away between its asks; and where the answers have come only then, from
// the first ask on.
const (
	yieldAfter = 12 * time.Microsecond  // of a wait, before its first yield
	yieldLearn = 2                      // answers in a row behind a yield
	yieldWaits = 16                     // waits that yield at once then
	yieldSlow  = 500 * time.Microsecond // a yield that takes longer: others compute there
	slowSkips  = 10                     // log2 of the waits that go without then, at the most
)

// yield lets other threads of this processor run, and returns how long that has taken since now,
// the clock's time. It is replaced in tests.
var yield = func(now time.Duration) (took time.Duration) {
	osYield()
	return Clock() - now
}

// yielding is what the waits of a reader have found out about where its peer runs.
type yielding struct {
	late   int // answers in a row that have come behind a yield
	atOnce int // waits to come that yield at once
	slow   int // yields that were, less the answers behind others
}

// begin begins a wait, and returns how long that asks before it yields.
func (y *yielding) begin() time.Duration {
	if y.atOnce > 0 {
		y.atOnce--
		return 0
	}
	return yieldAfter
}

// found says that an answer has come after so many yields.
func (y *yielding) found(yields int) {
	if yields == 0 {
		y.late = 0
		return
	}
	y.slow = max(y.slow-1, 0)
	if y.late++; y.late >= yieldLearn && y.atOnce == 0 {
		y.atOnce = yieldWaits
	}
}

// slowed says that a yield was slow, and returns how many waits are to go without: the more, the
// more often that is so.
func (y *yielding) slowed() (skip int) {
	skip = 1 << min(spinSkips+y.slow, slowSkips)
	y.slow = min(y.slow+1, slowSkips-spinSkips)
	return skip
}
