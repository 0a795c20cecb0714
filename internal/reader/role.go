// Package reader says who reads a connection, and reads it. What a frame means it does not know.
package reader

import "sync"

// State says who reads from a connection.
type State uint8

const (
	ByLoop   State = iota // the loop
	Idle                  // nobody; the loop is in the poller, or on its way there
	ByCaller              // one who waits for a frame of its own call
	ByWorker              // a worker that is free for the next request
	InStead               // a goroutine that handles what one of both has to leave to it
)

// role lets one goroutine at a time read from a connection.
//
// The loop is the one that always comes back: it waits in the poller, outside, and reads whatever
// nobody else has read. Where one call follows the other, whoever waits for the next frame reads it
// himself, which saves a switch of goroutines, and on an idle machine the waking of a processor. He
// asks the descriptor for some microseconds and never parks inside, so nobody has to get him out:
// when nothing comes, or when he has what he was there for, the loop is in the poller already. What
// the poller tells the loop meanwhile is for him to look after, before he leaves.
//
//	from            event                                           to
//	ByLoop          Leave: the loop is about to wait                Idle
//	Idle            TryEnter, Enter: something may have come        ByLoop
//	Idle            tryAcquire: a caller or a worker wants a frame  ByCaller, ByWorker
//	by one of both  TryEnter: the poller has told the loop          the same, missed
//	by one of both  release: it has come, or nothing has            Idle, or the same when missed
//	by one of both  standIn: a frame that has to wait for somebody  InStead, missed
//	                is left to a goroutine, which releases
//
// All else is impossible: tryAcquire fails, and Enter waits, while somebody reads.
type role struct {
	mu      sync.Mutex // guards all below
	state   State
	missed  bool          // something has come since the one who reads began, said the poller
	waiting chan struct{} // closed when nobody reads any more; nil while the loop does not wait
}

// TryEnter is the loop's, when the poller has woken it: it fails while another one reads,
// who looks after it.
func (r *role) TryEnter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != Idle {
		r.missed = true
		return false
	}
	r.state = ByLoop
	return true
}

// Enter is the loop's, when it will not wait in the poller any more:
// it waits for the one who reads.
func (r *role) Enter() {
	for wait := r.enter(); wait != nil; wait = r.enter() {
		<-wait
	}
}

// enter returns nil when the loop reads, and else what it has to wait for.
func (r *role) enter() chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == Idle {
		r.state = ByLoop
		return nil
	}
	if r.waiting == nil {
		r.waiting = make(chan struct{})
	}
	return r.waiting
}

// Leave is the loop's, before it waits in the poller.
func (r *role) Leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missed = false // the poller tells it again
	r.leaveLocked()
}

// tryAcquire makes a caller or a worker the reader, if nobody is.
func (r *role) tryAcquire(as State) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != Idle {
		return false
	}
	r.state, r.missed = as, false
	return true
}

// release ends the reading of whoever reads in the loop's absence.
// It returns false when he has to look again.
func (r *role) release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missed {
		r.missed = false
		return false
	}
	r.leaveLocked()
	return true
}

func (r *role) leaveLocked() {
	r.state = Idle
	if r.waiting != nil {
		close(r.waiting)
		r.waiting = nil
	}
}

// standIn has whoever reads go on in the loop's stead. He looks again before he leaves: what the
// poller has told the loop may not all have been read.
func (r *role) standIn() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.missed = InStead, true
}

// mayWait reports whether the one who reads may wait for others.
func (r *role) mayWait() bool { return r.state == ByLoop || r.state == InStead }

// MayRun says what the one who reads may do with a call: the loop runs a brief one here, and it or
// a worker runs one instead of reading on.
func (r *role) MayRun() (here, instead bool) {
	return r.state == ByLoop, r.state == ByLoop || r.state == ByWorker
}
