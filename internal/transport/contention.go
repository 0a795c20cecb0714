package transport

import "sync/atomic"

// To ask a descriptor in place of parking pays where one goroutine of the process waits at a time.
// Where others wait on other connections, they need the processor that asking takes. So under
// contention the process's waits back off exponentially: some of them park at once.
const (
	contendedStep = 2  // what a contended wait adds to the exponent
	contendedMax  = 12 // the exponent at the most
)

// contention is the exponential backoff of a process's asking. A wait is contended if it begins
// while another one asks. The two figures are no more than advice, so nothing keeps them together.
type contention struct {
	exponent atomic.Int32 // log2 of the waits that the last contended one has had park
	backoff  atomic.Int32 // how many of them are still to come
}

var asking contention

// mayAsk reports whether a wait may ask, or is to park at once.
func (c *contention) mayAsk(contended bool) bool {
	if contended {
		exponent := min(c.exponent.Load()+contendedStep, contendedMax)
		c.exponent.Store(exponent)
		c.backoff.Store(1 << exponent)
		return false
	}
	left := c.backoff.Load()
	if left > 0 {
		c.backoff.CompareAndSwap(left, left-1)
	}
	return left <= 0
}

// found says that a wait has asked and found something: the exponent is one less.
func (c *contention) found() {
	if exponent := c.exponent.Load(); exponent > 0 {
		c.exponent.CompareAndSwap(exponent, exponent-1)
	}
}
