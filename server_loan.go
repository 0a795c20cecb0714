package ttrpc

// A stream's handler waits for messages, and while the connection's goroutine runs it nobody reads any. So the consumer of
// that stream borrows the duty, for as long as the handler takes:
//
//	in the handler    run is odd; nobody reads
//	borrowed          lent is that run; whoever waits for a message reads, as if the goroutine were off duty
//	back from it      the goroutine is on duty again
//	replaced          it was summoned, as it is after two of the monitor's ticks at the most: another goroutine reads, and
//	                  the one in the handler ends with it
//
// Like a taking over, a borrowing begins with run made even: what the goroutine has counted on until then is over.

// borrowLocked is for the consumer of a stream that is about to wait. It changes nothing where the reader is elsewhere.
func (sc *serverConn) borrowLocked(ss *serverStream) {
	if ss.run != 0 && sc.inline.run.CompareAndSwap(ss.run, ss.run+1) {
		sc.duty, sc.lent = dutyNone, ss.run
	}
}

// isAwayForLocked reports whether the goroutine that runs this stream's handler is to be the reader again when that returns.
func (sc *serverConn) isAwayForLocked(ss *serverStream) bool { return ss.run != 0 && sc.lent == ss.run }

// leave has another goroutine read while the handler waits for something else than a message.
func (sc *serverConn) leave(ss *serverStream) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.failed != nil {
		return
	}
	sc.borrowLocked(ss)
	if sc.isAwayForLocked(ss) {
		sc.attendLocked()
	}
}

// replaceLocked ends a loan that lasts. busy: nobody has waited for a message lately, so it is the handler that takes its time.
func (sc *serverConn) replaceLocked(busy bool) {
	if sc.duty == dutyCaller {
		sc.lent = 0
		go sc.standBy()
		sc.kickLocked() // who hands over to it
		return
	}
	if busy {
		sc.inline.suspect(sc.lent)
	}
	sc.summonLocked()
}

// regain reports, after a run, whether the goroutine is still the reader, or is it again.
func (sc *serverConn) regain(run uint64) bool {
	if sc.inline.run.CompareAndSwap(run, run+1) {
		return true
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if sc.lent != run || sc.duty != dutyNone {
		return false
	}
	sc.lent, sc.duty = 0, dutyReader
	return true
}

// standBy is the life of a goroutine that replaces one which is away while somebody else is on duty.
func (sc *serverConn) standBy() {
	sc.offDuty()
	sc.readOn()
}
