package ttrpc

import "sync"

// readState says who reads from a connection.
type readState uint8

const (
	readByLoop   readState = iota // the loop
	readIdle                      // nobody; the loop is in the poller, or on its way there
	readByCaller                  // one who waits for a frame of its own call
	readByWorker                  // a worker that is free for the next request
	readInStead                   // a goroutine that handles what one of both has to leave to it
)

// readerRole lets one goroutine at a time read from a connection.
//
// The loop is the one that always comes back: it waits in the poller, outside, and reads whatever
// nobody else has read. Where one call follows the other, whoever waits for the next frame reads it
// himself, which saves a switch of goroutines, and on an idle machine the waking of a processor. He
// asks the descriptor for some microseconds and never parks inside, so nobody has to get him out:
// when nothing comes, or when he has what he was there for, the loop is in the poller already. What
// the poller tells the loop meanwhile is for him to look after, before he leaves.
//
//	from            event                                            to
//	readByLoop      Leave: the loop is about to wait                 readIdle
//	readIdle        TryEnter, Enter: something may have come         readByLoop
//	readIdle        tryAcquire: a caller or a worker wants a frame   readByCaller, readByWorker
//	by one of both  TryEnter: the poller has told the loop           the same, missed
//	by one of both  release: it has come, or nothing has             readIdle, or the same when missed
//	by one of both  standIn: a frame that has to wait for somebody   readInStead, missed
//	                is left to a goroutine, which releases
//
// All else is impossible: tryAcquire fails, and Enter waits, while somebody reads.
type readerRole struct {
	mu      sync.Mutex // guards all below
	state   readState
	missed  bool          // something has come since the one who reads began, said the poller
	waiting chan struct{} // closed when nobody reads any more; nil while the loop does not wait
}

// TryEnter is the loop's, when the poller has woken it: it fails while another one reads,
// who looks after it.
func (r *readerRole) TryEnter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != readIdle {
		r.missed = true
		return false
	}
	r.state = readByLoop
	return true
}

// Enter is the loop's, when it will not wait in the poller any more:
// it waits for the one who reads.
func (r *readerRole) Enter() {
	for wait := r.enter(); wait != nil; wait = r.enter() {
		<-wait
	}
}

// enter returns nil when the loop reads, and else what it has to wait for.
func (r *readerRole) enter() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == readIdle {
		r.state = readByLoop
		return nil
	}
	if r.waiting == nil {
		r.waiting = make(chan struct{})
	}
	return r.waiting
}

// Leave is the loop's, before it waits in the poller.
func (r *readerRole) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missed = false // the poller tells it again
	r.leaveLocked()
}

// tryAcquire makes a caller or a worker the reader, if nobody is.
func (r *readerRole) tryAcquire(as readState) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != readIdle {
		return false
	}
	r.state, r.missed = as, false
	return true
}

// release ends the reading of whoever reads in the loop's absence.
// It returns false when he has to look again.
func (r *readerRole) release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missed {
		r.missed = false
		return false
	}
	r.leaveLocked()
	return true
}

func (r *readerRole) leaveLocked() {
	r.state = readIdle
	if r.waiting != nil {
		close(r.waiting)
		r.waiting = nil
	}
}

// standIn has whoever reads go on in the loop's stead. He looks again before he leaves: what the
// poller has told the loop may not all have been read.
func (r *readerRole) standIn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.missed = readInStead, true
}

// mayWait reports whether the one who reads may wait for others.
func (r *readerRole) mayWait() bool { return r.state == readByLoop || r.state == readInStead }

// by is the state that the one who reads has made: only he asks.
func (r *readerRole) by() readState { return r.state }
