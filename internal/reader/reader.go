// Package reader says who reads a connection, and reads it. What a frame means it does not know.
package reader

import (
	"sync"

	"github.com/containerd/ttrpc/internal/transport"
)

// State says who reads from a connection.
type State uint8

const (
	ByLoop   State = iota // the loop
	Idle                  // nobody; the loop is in the poller, or on its way there
	ByCaller              // one who waits for a frame of its own call
	ByWorker              // a worker that is free for the next request
	InStead               // a goroutine that handles what one of both has to leave to it
)

// May is what the one who reads may do while a frame is handled: none, or several, of these.
type May uint8

const (
	Wait       May = 1 << iota // for others: else a frame is refused that would have him wait
	WakeLate                   // wake a consumer a little later: he reads on
	RunHere                    // run a brief call, and read on
	RunInstead                 // run a call, and leave the reading to others
)

var may = [...]May{
	ByLoop:   Wait | WakeLate | RunHere | RunInstead,
	ByCaller: 0,
	ByWorker: RunInstead,
	InStead:  Wait,
}

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
	_ [0]func() // no code is made that compares two of these

	mu      sync.Mutex // guards all below
	state   State
	missed  bool          // something has come since the one who reads began, said the poller
	waiting chan struct{} // closed when nobody reads any more; nil while the loop does not wait
}

// TryEnter is the loop's, when the poller has woken it: it fails while another one reads,
// who looks after it.
func (r *role) TryEnter() bool {
	r.mu.Lock()
	entered := r.state == Idle
	if entered {
		r.state = ByLoop
	} else {
		r.missed = true
	}
	r.mu.Unlock()
	return entered
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

// leave is the loop's, before it waits in the poller.
func (r *role) leave() {
	r.mu.Lock()
	r.missed = false // the poller tells it again
	r.leaveLocked()
	r.mu.Unlock()
}

// tryAcquire makes a caller or a worker the reader, if nobody is.
func (r *role) tryAcquire(as State) bool {
	r.mu.Lock()
	acquired := r.state == Idle
	if acquired {
		r.state, r.missed = as, false
	}
	r.mu.Unlock()
	return acquired
}

// release ends the reading of whoever reads in the loop's absence.
// It returns false when he has to look again.
func (r *role) release() bool {
	r.mu.Lock()
	released := !r.missed
	if released {
		r.leaveLocked()
	}
	r.missed = false
	r.mu.Unlock()
	return released
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
	r.state, r.missed = InStead, true
	r.mu.Unlock()
}

// Frames is what becomes of the frames that are read.
type Frames interface {
	// Handle gives a frame to its call. Of a reader who may not wait it may refuse a frame that it
	// would have to wait with: it has done nothing then, and returns false. To the loop false says
	// that another goroutine is the loop now.
	Handle(in *transport.Inbound, may May) bool
	// Handled is called when there are no more frames: at the end of a read, and again where nobody
	// reads on. It reports whether the next one is likely to come at once.
	Handled() (soon bool)
	// RecvFailed says that reading has ended, by whoever notices it.
	RecvFailed(err error)
}

// Reader reads a connection for whoever has the role.
type Reader struct {
	role
	t      *transport.Transport
	frames Frames
}

// Begin says what is read, and for whom. The loop has the role from the start.
func (r *Reader) Begin(t *transport.Transport, frames Frames) { r.t, r.frames = t, frames }

// Loop hands out frames until the connection ends, or until leave, which is asked after each
// read: another goroutine is to go on then. inside says that the caller has the role already, which
// another loop may have had before it.
func (r *Reader) Loop(inside bool, leave func() bool) (ended bool) {
	if inside {
		r.frames.Handled() // what that has left
	}
	in, err := r.t.Recv(r, inside)
	for err == nil {
		refused, soon := r.handleAll(in)
		if refused != nil {
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
	r.frames.RecvFailed(err) // the loop has the role for ever
	r.t.Discard()
	return true
}

// Leave is the loop's, before it waits in the poller.
func (r *Reader) Leave() {
	r.frames.Handled()
	r.role.leave()
}

// handleAll hands out the frames of one read, whose first is in, until one is refused. soon says
// that the next read is likely to bring something at once.
func (r *Reader) handleAll(in *transport.Inbound) (refused *transport.Inbound, soon bool) {
	for ; in != nil; in = r.t.Buffered() {
		if !r.frames.Handle(in, may[r.state]) {
			return in, false
		}
	}
	return nil, r.frames.Handled()
}

// maxReads is how often one who reads for himself reads before he leaves it to the loop: frames of
// others may come without end, and his context may end meanwhile.
const maxReads = 8

// Until reads until done, which is asked whenever frames have been handled.
func (r *Reader) Until(as State, done func() bool) {
	if !r.acquire(as) {
		return
	}
	for reads := 0; !done() && reads < maxReads; reads++ {
		in := r.t.TryRecv()
		if in == nil {
			break
		}
		if !r.handleOrLeave(in, done) {
			return
		}
	}
	r.stopReading(done)
}

// ReadNow hands out what has come by now, unless another one reads. It does not wait.
func (r *Reader) ReadNow(as State) {
	if !r.acquire(as) {
		return
	}
	never := func() bool { return false }
	for range maxReads {
		in := r.t.TryRecvNow()
		if in == nil {
			break
		}
		if !r.handleOrLeave(in, never) {
			return
		}
	}
	r.stopReading(never)
}

// acquireTries is how often a caller tries to read: the loop may be looking in vain,
// which takes a microsecond.
const acquireTries = 30

func (r *Reader) acquire(as State) bool {
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
func (r *Reader) stopReading(done func() bool) {
	for reads := 0; ; {
		r.t.ReleaseBuffer()
		if err := r.t.RecvErr(); err != nil {
			r.frames.RecvFailed(err)
		}
		if r.release() {
			return
		}
		for in := r.t.TryRecvNow(); in != nil; in = r.t.TryRecvNow() {
			if reads++; reads > maxReads && r.state != InStead {
				r.leaveInStead(in)
				return
			}
			if !r.handleOrLeave(in, done) {
				return
			}
			done()
		}
	}
}

// handleOrLeave returns false when a frame was refused. It has left that, and the reading, to a
// goroutine in the loop's stead.
func (r *Reader) handleOrLeave(in *transport.Inbound, done func() bool) bool {
	refused, _ := r.handleAll(in)
	if refused != nil {
		done()
		r.leaveInStead(refused)
	}
	return refused == nil
}

// leaveInStead leaves a frame, and the reading, to a goroutine in the loop's stead, which may wait.
func (r *Reader) leaveInStead(in *transport.Inbound) {
	r.standIn()
	go func() {
		r.handleAll(in)
		r.stopReading(func() bool { return false })
	}()
}
