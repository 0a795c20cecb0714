package transport

import "time"

// A kernel may put a thread that it wakes on the processor of the one who has woken it. Where that
// one asks the socket for the answer, it keeps from running whoever is to give it, for all of its
// time. So where many waits are long, those that follow give the processor away between their asks.
// Where the peer runs elsewhere that does harm: to Linux, who yields has had his share, and for
// milliseconds whatever wakes on his processor interrupts him. At each message Go's poller does.
const (
	yieldScore = 3                      // of a wait of half its time or more; a shorter one's is -1
	yieldMany  = 48 * yieldScore        // from this score on waits yield
	yieldWaits = 1024                   // that do, before others are tried
	yieldBytes = 16 << 10               // of a frame: its sender takes long, wherever it runs
	yieldSlow  = 500 * time.Microsecond // a yield that takes longer: others compute there
	slowSkips  = 10                     // log2 of the waits that park at once then, at the most
)

// yield lets other threads of this processor run, and returns how long that has taken since now,
// the clock's time. It is replaced in tests.
var yield = func(now time.Duration) (took time.Duration) {
	osYield()
	return Clock() - now
}

// yielding is what the waits of a reader have found out about where its peer runs.
type yielding struct {
	score int // of the waits that have not yielded
	left  int // waits to come that yield
	slow  int // log2 of the waits that park at once behind the next slow yield
}

// begin begins a wait for a frame that is likely to have so many bytes, and reports whether it is
// to yield.
func (y *yielding) begin(bytes int) bool {
	if y.left == 0 {
		return bytes >= yieldBytes
	}
	y.left--
	return true
}

// alone says that no thread of this process waits in Go's poller, as with one processor: the next
// waits yield, for that does no harm then.
func (y *yielding) alone() { y.left = yieldWaits }

// waited counts a wait that is over, and had no slow yield. yields says that it was to yield.
func (y *yielding) waited(yields, long bool) {
	switch {
	case yields:
		y.slow = max(y.slow-1, 0)
	case !long:
		y.score = max(y.score-1, 0)
	default:
		if y.score += yieldScore; y.score >= yieldMany {
			y.score, y.left = yieldMany, yieldWaits
		}
	}
}

// yielded says how long a yield has taken. If that was slow, it returns how many waits are to park
// at once: others compute on this processor, and Linux lets who has slept go before them. They are
// the more, the more often that is so.
func (y *yielding) yielded(took time.Duration) (skip int) {
	if took < yieldSlow {
		return 0
	}
	skip = 1 << y.slow
	y.slow = min(y.slow+1, slowSkips)
	return skip
}
