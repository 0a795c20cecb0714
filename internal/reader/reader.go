package reader

import "github.com/containerd/ttrpc/internal/transport"

// Frames is what a role does with the frames that are read.
type Frames interface {
	// Handle gives a frame to its call. Of a reader who may not wait (see Waits) it may refuse a frame
	// that it would have to wait with: it has done nothing then, and returns false. To the loop false
	// says that another goroutine is the loop now.
	Handle(in *transport.Inbound) bool
	// Handled is called when the frames of one read have been handled, and before a wait between them.
	// It reports whether the next one is likely to come at once.
	Handled() (soon bool)
	// RecvFailed says that reading has ended, by whoever notices it.
	RecvFailed(err error)
}

// Reader reads a connection for whoever has the role.
type Reader struct {
	role
	t       *transport.Transport
	frames  Frames
	delayed delayedWake // used by the one who reads; none but the loop leaves any
}

// Begin says what is read, and for whom. The loop has the role from the start.
func (r *Reader) Begin(t *transport.Transport, frames Frames) { r.t, r.frames = t, frames }

// Waits says that the one who reads is about to wait for others. It returns false where he may not:
// nobody would read meanwhile.
func (r *Reader) Waits() bool {
	if !r.mayWait() {
		return false
	}
	r.wakeDelayed()
	r.frames.Handled()
	return true
}

// Loop hands out frames until the connection ends, or until leave, which is asked after each
// read: another goroutine is to go on then. inside says that the caller has the role already.
func (r *Reader) Loop(inside bool, leave func() bool) (ended bool) {
	in, err := r.t.Recv(r, inside)
	for err == nil {
		before := r.delayed
		soon, gone := r.handleAll(in)
		if gone {
			return false
		}
		if r.delayed == before { // this read has brought it nothing
			r.wakeDelayed()
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
	r.wakeDelayed()
	r.frames.RecvFailed(err) // the loop has the role for ever
	r.t.Discard()
	return true
}

// handleAll hands out the frames of one read, whose first is in. gone says that another goroutine
// is the loop now, soon that the next read is likely to bring something at once.
func (r *Reader) handleAll(in *transport.Inbound) (soon, gone bool) {
	for ; in != nil; in = r.t.Buffered() {
		if !r.frames.Handle(in) {
			return false, true
		}
	}
	return r.frames.Handled(), false
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
			if reads++; reads > maxReads && !r.mayWait() {
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

// leaveInStead leaves a frame, and the reading, to a goroutine in the loop's stead.
func (r *Reader) leaveInStead(in *transport.Inbound) {
	r.standIn()
	go r.readInStead(in)
}

// handleOrLeave returns false when it has left a frame, and the reading,
// to a goroutine in the loop's stead.
func (r *Reader) handleOrLeave(in *transport.Inbound, done func() bool) bool {
	for ; in != nil; in = r.t.Buffered() {
		if r.frames.Handle(in) {
			continue
		}
		done()
		r.leaveInStead(in)
		return false
	}
	r.frames.Handled()
	return true
}

func (r *Reader) readInStead(in *transport.Inbound) {
	r.handleAll(in)
	r.stopReading(func() bool { return false })
}
