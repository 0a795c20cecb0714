package conns

import "fmt"

// Handlers counts the handlers of one connection that have not returned, each for a call that has a
// key of type K, or the zero K where nothing tells it from others. A lock of the connection's
// guards it.
//
//	event                                              running  bytes       waiting
//	Init: the connection's own goroutine begins        1
//	Begin: a call has come, and is within the limits   + 1      + its own
//	End: its handler has returned, or the goroutine    - 1      - its own
//	Waits: it is in ShutdownWithin, or no more                              + 1, or - 1
//
// The connection has its slot until nothing runs.
type Handlers[K comparable] struct {
	mostCalls, mostBytes int
	running, bytes       int
	waiting              int
	waitingOf            map[K]int // nil while none waits whose key is known
}

// Init says how many calls may run, and how many bytes their requests may have together. One
// request is always within that.
func (h *Handlers[K]) Init(mostCalls, mostBytes int) {
	h.mostCalls, h.mostBytes, h.running = mostCalls, mostBytes, 1
}

// Begin counts a call whose request has so many bytes, or says why it is refused.
func (h *Handlers[K]) Begin(bytes int) (refusal string) {
	switch {
	case h.running > h.mostCalls:
		return fmt.Sprintf("ttrpc: more than %d calls in flight", h.mostCalls)
	case h.bytes > 0 && h.bytes+bytes > h.mostBytes:
		return fmt.Sprintf("ttrpc: requests in flight exceed %d bytes", h.mostBytes)
	}
	h.running++
	h.bytes += bytes
	return ""
}

// End counts a handler that has returned, whose request had so many bytes, or the connection's
// goroutine, with 0. It reports whether that was the last.
func (h *Handlers[K]) End(bytes int) (last bool) {
	h.running--
	h.bytes -= bytes
	return h.running == 0
}

// Running is how many handlers have not returned.
func (h *Handlers[K]) Running() int { return max(h.running-1, 0) }

// Bytes is how many bytes their requests have.
func (h *Handlers[K]) Bytes() int { return h.bytes }

// Waits counts a handler's goroutine that is in [Set.ShutdownWithin], or, with -1, is back.
func (h *Handlers[K]) Waits(key K, n int) {
	var none K
	h.waiting += n
	if key == none {
		return
	}
	if h.waitingOf == nil {
		h.waitingOf = map[K]int{}
	}
	if h.waitingOf[key] += n; h.waitingOf[key] == 0 {
		delete(h.waitingOf, key)
	}
}

// AllWait reports whether the handlers of all these calls wait, as far as their keys tell. Of those
// who wait some calls may be among them no more, as they were cancelled, and some count twice: for
// a call that has a key their number does not say it.
func (h *Handlers[K]) AllWait(calls func(yield func(K) bool)) bool {
	var none K
	n, all := 0, true
	calls(func(key K) bool {
		n++
		all = n <= h.waiting && (key == none || h.waitingOf[key] > 0)
		return all
	})
	return all
}
