package transport

import (
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// There is no writer goroutine: the one who has bytes writes them. Post appends a frame in wire
// order; a flush writes the backlog unless somebody is writing already, who then takes it along. On
// a descriptor a flush is one write that never blocks; what it leaves over goes to a goroutine that
// blocks in its stead and ends when the backlog is empty.

// flushRounds is how many writes one caller does for others before a goroutine takes over.
const flushRounds = 4

// Unwritten is a frame that has been posted. Whoever has posted flushes it, by one of three verbs.
// The zero value is no frame: the verbs do nothing.
type Unwritten struct {
	t  *Transport
	at uint64
}

// At is how many bytes had been posted with the frame: see NeverWritten.
func (u Unwritten) At() uint64 { return u.at }

// Post takes f and puts it behind the backlog. Callers that need an order on the wire hold the lock
// that makes the order, and flush when they have let go of it. Its error is what writing has ended
// with.
func (t *Transport) Post(f *wire.Frame) (Unwritten, error) {
	at, err := t.post(f)
	return Unwritten{t, at}, err
}

// Flush writes the backlog. It blocks only if it has to and the caller says that it may:
// with a descriptor it never does.
func (u Unwritten) Flush(mayBlock bool) {
	if u.t != nil {
		u.t.flush(mayBlock)
	}
}

// FlushBatched is Flush where others may be about to post as well:
// one of them lets them do so and writes for all.
func (u Unwritten) FlushBatched(mayBlock bool) {
	if u.t != nil {
		u.t.flushBatched(mayBlock)
	}
}

// FlushLater leaves the writing to another goroutine,
// so that a sender of many messages fills its next write meanwhile.
func (u Unwritten) FlushLater() {
	if u.t != nil {
		u.t.flushLater()
	}
}

func (t *Transport) flush(mayBlock bool) {
	if !mayBlock && !t.attempt.immediate() {
		t.flushLater()
		return
	}
	f := t.begin()
	for round := 1; f != nil; round++ {
		t.countWrite(f)
		n, err := t.attempt.write(f.Bytes())
		switch {
		case err == nil && n < f.Len():
			go t.flushLoop(f, n)
			return
		case !t.wrote(f, n, err):
			return
		case round == flushRounds:
			go t.flushLoop(nil, 0)
			return
		}
		f = t.next()
	}
}

func (t *Transport) flushLater() {
	if t.claim() {
		go t.flushLoop(nil, 0)
	}
}

// flushLoop writes until nothing is left, for one who has claimed to write. It owns f, of which n
// bytes are written; without it, it begins with the next buffer.
func (t *Transport) flushLoop(f *wire.Frame, n int) {
	if f == nil {
		f = t.next()
	}
	for ; f != nil; f, n = t.next(), 0 {
		err := t.attempt.writeAll(f.Bytes()[n:])
		if !t.wrote(f, f.Len(), err) {
			return
		}
	}
}

// wrote frees a buffer whose write has ended, and reports whether there are more for the caller.
// reached is how many of its bytes may have been written where that has failed.
func (t *Transport) wrote(f *wire.Frame, reached int, err error) (more bool) {
	n := f.Len()
	f.Free()
	if err != nil {
		t.tookPart(reached)
		t.fail(err)
		return false
	}
	more, flushed := t.written(n)
	if flushed {
		t.hangUp()
	}
	return more
}

// fail ends the sending half for good, and tells it once.
func (t *Transport) fail(err error) {
	if t.Stop(err) {
		t.onFail(err)
	}
}

// CloseWhenFlushed has OnFail called, with ErrDone, once everything posted so far is written.
func (t *Transport) CloseWhenFlushed() {
	if t.closeWhenFlushed() {
		t.hangUp()
	}
}

// WriteProgress is a number that changes whenever the peer, or the kernel for it, has taken bytes;
// without a descriptor, a whole piece of them.
func (t *Transport) WriteProgress() uint64 { return t.allWritten() + t.attempt.inPart.Load() }

// hangUp ends a connection whose last answers may still be on their way.
func (t *Transport) hangUp() {
	go t.closeWrite() // a conn of the user's may take its time, as TLS does with a stuck peer
}

// closeWrite leaves the closing to OnFail. TCP throws last answers away when the other side's
// requests lie unread at the close: it is closed for writing first, and reading goes on until the
// peer has closed too, for a bounded time.
func (t *Transport) closeWrite() {
	if half := halfCloserOf(t.conn); half == nil || half.CloseWrite() != nil {
		t.onFail(ErrDone)
	} else {
		time.AfterFunc(LingerTimeout, func() { t.onFail(ErrDone) })
	}
}
