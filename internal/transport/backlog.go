package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// flushRounds is how many writes one caller does for others before a goroutine takes over.
const flushRounds = 4

// ErrDone is what writing has ended with after CloseWhenFlushed.
var ErrDone = errors.New("ttrpc: connection closed by the server")

// backlog is the sending half: frames that are posted and not written.
//
// There is no writer goroutine: the one who has bytes writes them. Post appends a frame in wire
// order; a flush writes the backlog unless somebody is writing already, who then takes it along. On
// a descriptor a flush is one write that never blocks; what it leaves over goes to a goroutine that
// blocks in its stead and ends when the backlog is empty.
type backlog struct {
	limit   int         // of unwritten, from which on WaitSpace waits
	full    atomic.Bool // the limit is reached, and nothing has failed; changed under mu
	attempt attempt     // used by whoever has set writing

	mu           sync.Mutex    // guards all below
	out          wire.Queue    // posted, and in nobody's hands
	postedFrames int           // in out, at the most
	unwritten    int           // bytes in out and in the hands of whoever writes
	posted       uint64        // bytes ever; the last of them, as many as unwritten, are not out
	writing      bool          // somebody is writing, and will look at out again before it stops
	closing      bool          // the connection closes once nothing is unwritten
	sendErr      error         // why nothing can be written any more
	space        chan struct{} // closed when there is space; nil: nobody waits
	watching     int           // how many are in WaitWritten: they look after each write
}

// Unwritten is a frame that has been posted. Whoever has posted flushes it, by one of three verbs.
// The zero value is no frame: the verbs do nothing.
type Unwritten struct{ t *Transport }

// Post takes f and puts it behind the backlog. Callers that need an order on the wire hold the lock
// that makes the order, and flush when they have let go of it.
func (t *Transport) Post(f *wire.Frame) (Unwritten, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sendErr != nil {
		f.Free()
		return Unwritten{t}, t.sendErr
	}
	t.unwritten += f.Len()
	t.posted += uint64(f.Len())
	t.out.Push(f)
	t.postedFrames++
	if t.unwritten >= t.limit {
		t.full.Store(true)
	}
	return Unwritten{t}, nil
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
	t.mu.Lock()
	if t.writing || t.out.Empty() {
		t.mu.Unlock()
		return
	}
	t.writing = true
	if !t.attempt.immediate() && !mayBlock {
		t.mu.Unlock()
		go t.flushLoop(nil, 0)
		return
	}
	for range flushRounds {
		f := t.popLocked()
		if f == nil { // Stop has dropped the rest
			break
		}
		t.mu.Unlock()
		t.countWrite(f)
		n, err := t.attempt.write(f.Bytes())
		if err != nil {
			f.Free()
			t.fail(err)
			return
		}
		if n < f.Len() {
			go t.flushLoop(f, n)
			return
		}
		if t.wrote(f) {
			return
		}
		t.mu.Lock()
	}
	t.mu.Unlock()
	go t.flushLoop(nil, 0)
}

func (t *Transport) flushLater() {
	t.mu.Lock()
	idle := !t.writing && !t.out.Empty()
	if idle {
		t.writing = true
	}
	t.mu.Unlock()
	if idle {
		go t.flushLoop(nil, 0)
	}
}

// flushLoop writes until nothing is left. It owns f, of which n bytes are written,
// and has writing set on its behalf.
func (t *Transport) flushLoop(f *wire.Frame, n int) {
	for {
		if f == nil {
			f, n = t.takeNext(), 0
		}
		if f == nil { // Stop has dropped the rest
			return
		}
		if err := t.attempt.writeAll(f.Bytes()[n:]); err != nil {
			f.Free()
			t.fail(err)
			return
		}
		if t.wrote(f) {
			return
		}
		f = nil
	}
}

// takeNext takes the next buffer for the one who writes; with none left nobody does.
func (t *Transport) takeNext() *wire.Frame {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.popLocked()
	t.writing = f != nil
	return f
}

func (t *Transport) popLocked() *wire.Frame {
	f := t.out.Pop()
	if t.out.Empty() {
		t.postedFrames = 0
	}
	return f
}

// wrote frees a buffer that is written and reports whether it was the last: nobody is writing then.
func (t *Transport) wrote(f *wire.Frame) (last bool) {
	n := f.Len()
	f.Free()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unwritten -= n
	if t.unwritten < t.limit && t.full.Load() {
		t.full.Store(false)
	}
	if t.unwritten <= t.limit/4 || t.watching > 0 {
		t.announceSpaceLocked()
	}
	if !t.out.Empty() {
		return false
	}
	t.writing = false
	if t.closing {
		t.hangUpLocked()
	}
	return true
}

// fail ends the sending half for good: the backlog is dropped, those who wait for space return.
func (t *Transport) fail(err error) {
	if t.Stop(err) {
		t.onFail(err)
	}
}

// Stop ends the sending half without telling anybody; it reports whether the half was still up.
func (t *Transport) Stop(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sendErr != nil {
		return false
	}
	t.sendErr = err
	t.full.Store(false)
	t.out.Clear()
	t.announceSpaceLocked()
	return true
}

// CloseWhenFlushed has OnFail called, with ErrDone, once everything posted so far is written.
func (t *Transport) CloseWhenFlushed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
	if !t.writing && t.out.Empty() {
		t.hangUpLocked()
	}
}

// hangUpLocked ends a connection whose last answers may still be on their way.
func (t *Transport) hangUpLocked() {
	if t.sendErr != nil {
		return
	}
	t.sendErr = ErrDone
	t.full.Store(false)
	t.announceSpaceLocked()
	go t.hangUp() // a conn of the user's may take its time, as TLS does with a stuck peer
}

// hangUp leaves the closing to OnFail. TCP throws last answers away when the other side's requests
// lie unread at the close: it is closed for writing first, and reading goes on until the peer has
// closed too, for a bounded time.
func (t *Transport) hangUp() {
	if half := HalfCloser(t.conn); half == nil || half.CloseWrite() != nil {
		t.onFail(ErrDone)
	} else {
		time.AfterFunc(LingerTimeout, func() { t.onFail(ErrDone) })
	}
}

func (t *Transport) announceSpaceLocked() {
	if t.space != nil {
		close(t.space)
		t.space = nil
	}
}

// Full reports whether the backlog's limit is reached.
func (t *Transport) Full() bool { return t.full.Load() }

// AwaitSpace is WaitSpace for those who do not give up. With space it costs next to nothing.
func (t *Transport) AwaitSpace() {
	if t.full.Load() {
		_ = t.WaitSpace(context.Background()) // which has no error; a failed half has space
	}
}

// WaitSpace returns when the backlog is under its limit or the half has failed, with nil, and with
// ctx's error when that ends first.
func (t *Transport) WaitSpace(ctx context.Context) error { return t.waitBelow(ctx, t.limit) }

// WaitStreamSpace is WaitSpace for the messages of streams. They stop at half of the limit, or else
// those who send without end would fill the backlog again each time,
// before a server's reader sees that there was space.
func (t *Transport) WaitStreamSpace(ctx context.Context) error {
	return t.waitBelow(ctx, max(t.limit/2, 1))
}

func (t *Transport) waitBelow(ctx context.Context, limit int) error {
	return t.wait(ctx, func() bool { return t.unwritten < limit })
}

// WaitWritten is WaitSpace for the first n bytes that were ever posted to be written.
func (t *Transport) WaitWritten(ctx context.Context, n uint64) error {
	t.watch(1)
	defer t.watch(-1)
	return t.wait(ctx, func() bool { return t.posted-uint64(t.unwritten) >= n })
}

func (t *Transport) watch(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watching += n
}

// Flushed reports whether all is written after CloseWhenFlushed.
func (t *Transport) Flushed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sendErr == ErrDone
}

// Posted is how many bytes were ever posted.
func (t *Transport) Posted() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.posted
}

// wait returns when enough, which is called with the lock held, holds or the half has failed.
func (t *Transport) wait(ctx context.Context, enough func() bool) error {
	for {
		space := t.spaceUnless(enough)
		if space == nil {
			return nil
		}
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// spaceUnless returns nil when enough holds, and else a channel that is closed when there is more
// space.
func (t *Transport) spaceUnless(enough func() bool) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sendErr != nil || enough() {
		return nil
	}
	if t.space == nil {
		t.space = make(chan struct{})
	}
	return t.space
}
