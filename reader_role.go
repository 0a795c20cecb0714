package ttrpc

import (
	"sync"

	"github.com/containerd/ttrpc/internal/transport"
)

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

// mayRun says what the one who reads may do with a call: the loop runs a brief one here, and it or
// a worker runs one instead of reading on.
func (r *readerRole) mayRun() (here, instead bool) {
	return r.state == readByLoop, r.state == readByLoop || r.state == readByWorker
}

// frames is what a role does with the frames that are read.
type frames interface {
	handle(in *transport.Inbound) bool
	handled() (soon bool)
	recvFailed(err error)
}

// reader reads a connection for whoever has the role.
type reader struct {
	readerRole
	t      *transport.Transport
	frames frames
}

func (r *reader) begin(t *transport.Transport, frames frames) { r.t, r.frames = t, frames }

// waits says that the one who reads is about to wait for others. It returns false where he may not:
// nobody would read meanwhile.
func (r *reader) waits() bool {
	if !r.mayWait() {
		return false
	}
	r.frames.handled()
	return true
}

// loop hands out frames until the connection ends, or until leave, which is asked after each
// read: another goroutine is to go on then. inside says that the caller has the role already.
func (r *reader) loop(inside bool, leave func() bool) (ended bool) {
	in, err := r.t.Recv(r, inside)
	for err == nil {
		soon, gone := r.handleAll(in)
		if gone {
			return false
		}
		if leave() {
			r.t.ReleaseBuffer()
			r.Leave()
			return false
		}
		if in = nil; soon && r.t.Frequent() {
			in = r.t.TryRecv()
		}
		if in == nil {
			in, err = r.t.Recv(r, true)
		}
	}
	r.frames.recvFailed(err) // the loop has the role for ever
	r.t.Discard()
	return true
}

// handleAll hands out the frames of one read, whose first is in. gone says that another goroutine
// is the loop now, soon that the next read is likely to bring something at once.
func (r *reader) handleAll(in *transport.Inbound) (soon, gone bool) {
	for ; in != nil; in = r.t.Buffered() {
		if !r.frames.handle(in) {
			return false, true
		}
	}
	return r.frames.handled(), false
}

// maxReads is how often one who reads for himself reads before he leaves it to the loop: frames of
// others may come without end, and his context may end meanwhile.
const maxReads = 8

// until reads until done, which is asked whenever frames have been handled.
func (r *reader) until(as readState, done func() bool) {
	if !r.acquire(as) {
		return
	}
	for reads := 0; !done() && reads < maxReads; reads++ {
		in := r.t.TryRecv()
		if in == nil {
			break
		}
		if !r.handleOrPassOn(in, done) {
			return
		}
	}
	r.stopReading(done)
}

// acquireTries is how often a caller tries to read: the loop may be looking in vain,
// which takes a microsecond.
const acquireTries = 30

func (r *reader) acquire(as readState) bool {
	for range acquireTries {
		if r.tryAcquire(as) {
			return true
		}
	}
	return false
}

// stopReading ends the reading of one who is not the loop. When the poller has told the loop
// meanwhile that something has come, all of it is read before, for the loop is told once: what
// comes without end is left to a goroutine.
func (r *reader) stopReading(done func() bool) {
	for reads := 0; ; {
		r.t.ReleaseBuffer()
		if err := r.t.RecvErr(); err != nil {
			r.frames.recvFailed(err)
		}
		if r.release() {
			return
		}
		for in := r.t.TryRecvNow(); in != nil; in = r.t.TryRecvNow() {
			if reads++; reads > maxReads && !r.mayWait() {
				r.passOn(in)
				return
			}
			if !r.handleOrPassOn(in, done) {
				return
			}
			done()
		}
	}
}

// passOn leaves a frame, and the reading, to a goroutine in the loop's stead.
func (r *reader) passOn(in *transport.Inbound) {
	r.standIn()
	go r.readInStead(in)
}

// handleOrPassOn returns false when it has left a frame, and the reading,
// to a goroutine in the loop's stead.
func (r *reader) handleOrPassOn(in *transport.Inbound, done func() bool) bool {
	for ; in != nil; in = r.t.Buffered() {
		if r.frames.handle(in) {
			continue
		}
		done()
		r.passOn(in)
		return false
	}
	r.frames.handled()
	return true
}

func (r *reader) readInStead(in *transport.Inbound) {
	r.handleAll(in)
	r.stopReading(func() bool { return false })
}
