package ttrpc

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultBacklog = 1 << 20 // bytes waiting to be written
	crowdWrite     = 2 << 10 // bytes that are worth a write while more are about to come
	flushRounds    = 4       // writes that one caller does for others before a flusher takes over
)

// channel moves frames over a net.Conn; it knows no calls. It has two halves: the reader, which has one user
// at a time, and the writer, which is for everybody.
//
// There is no writer goroutine: the one who has bytes writes them. post appends a frame to the backlog, in
// wire order; flush writes the backlog unless somebody is writing already, who then takes it along. On a
// descriptor a flush is one write that never blocks; what it leaves over goes to a flusher, a goroutine that
// blocks in its stead and ends when the backlog is empty.
type channel struct {
	reader
	writer

	conn   net.Conn
	onFail func(error) // called without locks, once, when a write has failed or all is written after closeWhenFlushed
}

// writer is the sending half.
type writer struct {
	mu      sync.Mutex    // guards all below but full, gathering and attempt
	out     queue         // the backlog
	held    int           // bytes in out and in the hands of whoever writes
	sum     uint64        // bytes posted ever; all but the last held of them are written
	limit   int           // of held, from which on waitSpace waits
	writing bool          // somebody is writing, and will look at out again before it stops
	closing bool          // the connection closes once nothing is held
	failed  error         // why nothing can be written any more
	room    chan struct{} // closed when there is space; nil: nobody waits

	full      atomic.Bool  // the bound is reached, and nothing has failed; changed under mu
	gathering atomic.Bool  // somebody is about to flush, and lets others post before
	attempt   writeAttempt // used by whoever has set writing
}

func newChannel(conn net.Conn, maxRecv, backlog int, onFail func(error)) *channel {
	ch := &channel{conn: conn, onFail: onFail}
	raw := rawConn(conn)
	ch.reader.init(conn, raw, maxRecv)
	ch.attempt.init(conn, raw)
	ch.limit = backlog
	return ch
}

// post takes f and puts it behind the backlog. Callers that need an order on the wire hold the lock that
// makes the order. Somebody has to flush then.
func (ch *channel) post(f *frame) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.failed != nil {
		f.free()
		return ch.failed
	}
	ch.held += len(f.b)
	ch.sum += uint64(len(f.b))
	ch.out.push(f)
	if ch.held >= ch.limit {
		ch.full.Store(true)
	}
	return nil
}

// flush writes the backlog. It blocks only if it has to and the caller says that it may: with a descriptor it
// never does.
func (ch *channel) flush(mayBlock bool) {
	ch.mu.Lock()
	if ch.writing || ch.out.empty() {
		ch.mu.Unlock()
		return
	}
	ch.writing = true
	if !ch.attempt.immediate() && !mayBlock {
		ch.mu.Unlock()
		go ch.drain(nil, 0)
		return
	}
	for range flushRounds {
		f := ch.out.pop()
		if f == nil { // stop has dropped the rest
			break
		}
		ch.mu.Unlock()
		n, err := ch.attempt.write(f.b)
		if err != nil {
			f.free()
			ch.fail(err)
			return
		}
		if n < len(f.b) {
			go ch.drain(f, n)
			return
		}
		if ch.wrote(f) {
			return
		}
		ch.mu.Lock()
	}
	ch.mu.Unlock()
	go ch.drain(nil, 0)
}

// flushCrowd is flush where others are about to post as well: one of them lets them do so first and writes for all,
// unless there is enough for a write of its own.
func (ch *channel) flushCrowd(mayBlock bool) {
	if !ch.gathering.Swap(true) {
		ch.flushGathered(mayBlock)
	} else if ch.posted() >= crowdWrite {
		ch.flush(mayBlock)
	}
}

// gather has those in flushCrowd leave the writing to the caller, who has to call flushGathered soon.
func (ch *channel) gather() { ch.gathering.Store(true) }

// flushGathered lets others post and writes for them. Whoever finds gathering set has posted before it is cleared here,
// so before the flush.
func (ch *channel) flushGathered(mayBlock bool) {
	runtime.Gosched()
	ch.gathering.Store(false)
	ch.flush(mayBlock)
}

// posted is how many bytes wait to be written.
func (ch *channel) posted() int {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.out.bytes
}

// flushLater leaves the writing to a flusher, so that a sender of many messages fills its next write meanwhile.
func (ch *channel) flushLater() {
	ch.mu.Lock()
	idle := !ch.writing && !ch.out.empty()
	if idle {
		ch.writing = true
	}
	ch.mu.Unlock()
	if idle {
		go ch.drain(nil, 0)
	}
}

// drain is the flusher: it owns f, of which n bytes are written, and has writing set on its behalf.
func (ch *channel) drain(f *frame, n int) {
	for {
		if f == nil {
			ch.mu.Lock()
			f, n = ch.out.pop(), 0
			if f == nil { // stop has dropped the rest
				ch.writing = false
				ch.mu.Unlock()
				return
			}
			ch.mu.Unlock()
		}
		if err := ch.attempt.writeAll(f.b[n:]); err != nil {
			f.free()
			ch.fail(err)
			return
		}
		if ch.wrote(f) {
			return
		}
		f = nil
	}
}

// wrote frees a frame that is written and reports whether it was the last: nobody is writing then.
func (ch *channel) wrote(f *frame) (last bool) {
	n := len(f.b)
	f.free()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.held -= n
	if ch.held < ch.limit && ch.full.Load() {
		ch.full.Store(false)
	}
	if ch.held <= ch.limit/4 {
		ch.announceSpaceLocked()
	}
	if !ch.out.empty() {
		return false
	}
	ch.writing = false
	if ch.closing {
		ch.hangUpLocked()
	}
	return true
}

// fail ends the writing half for good: the backlog is dropped, those who wait for space return.
func (ch *channel) fail(err error) {
	if ch.stop(err) {
		ch.onFail(err)
	}
}

// stop is fail without telling anybody; it reports whether the half was still up.
func (ch *channel) stop(err error) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.failed != nil {
		return false
	}
	ch.failed = err
	ch.full.Store(false)
	ch.out.clear()
	ch.announceSpaceLocked()
	return true
}

// closeWhenFlushed has the connection closed once everything posted so far is written.
func (ch *channel) closeWhenFlushed() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.closing = true
	if !ch.writing && ch.out.empty() {
		ch.hangUpLocked()
	}
}

// hangUpLocked closes a connection whose last answers may still be on their way.
func (ch *channel) hangUpLocked() {
	if ch.failed != nil {
		return
	}
	ch.failed = errConnDone
	ch.full.Store(false)
	ch.announceSpaceLocked()
	go ch.hangUp() // a conn of the user's may take its time, as TLS does with a stuck peer
}

// hangUp leaves the closing to onFail. TCP throws last answers away when the other side's requests lie unread at the
// close: it is closed for writing first, and the reader reads on until the peer has closed too, for a bounded time.
func (ch *channel) hangUp() {
	if half := overTCP(ch.conn); half == nil || half.CloseWrite() != nil {
		ch.onFail(errConnDone)
	} else {
		time.AfterFunc(lastWords, func() { ch.onFail(errConnDone) })
	}
}

func (ch *channel) announceSpaceLocked() {
	if ch.room != nil {
		close(ch.room)
		ch.room = nil
	}
}

// waitSpace returns when the backlog is under its bound or the half has failed, with nil, and with ctx's
// error when that ends first.
func (ch *channel) waitSpace(ctx context.Context) error { return ch.waitUnder(ctx, ch.limit) }

// awaitSpace is waitSpace for those who do not give up. With space it costs next to nothing.
func (ch *channel) awaitSpace() {
	if ch.full.Load() {
		_ = ch.waitSpace(context.Background()) // which has no error; a failed channel has space
	}
}

// waitTurn is waitSpace for the messages of streams. They stop at half of the bound, or else those who send without
// end would fill the backlog again each time, before a server's reader sees that there was space.
func (ch *channel) waitTurn(ctx context.Context) error { return ch.waitUnder(ctx, ch.turn()) }

func (ch *channel) turn() int { return max(ch.limit/2, 1) }

// hasTurn reports whether waitTurn would not wait.
func (ch *channel) hasTurn() bool { return ch.roomUnder(ch.turn()) == nil }

func (ch *channel) waitUnder(ctx context.Context, limit int) error {
	for {
		room := ch.roomUnder(limit)
		if room == nil {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// roomUnder returns nil when less than limit is held, and else a channel that is closed when much less is.
func (ch *channel) roomUnder(limit int) <-chan struct{} {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.held < limit || ch.failed != nil {
		return nil
	}
	return ch.roomLocked()
}

func (ch *channel) roomLocked() <-chan struct{} {
	if ch.room == nil {
		ch.room = make(chan struct{})
	}
	return ch.room
}

// waitWritten is waitSpace for all that was posted before to be written.
func (ch *channel) waitWritten(ctx context.Context) error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for all := ch.sum; ch.sum-uint64(ch.held) < all && ch.failed == nil; {
		room := ch.roomLocked()
		ch.mu.Unlock()
		select {
		case <-room:
			ch.mu.Lock()
		case <-ctx.Done():
			ch.mu.Lock()
			return ctx.Err()
		}
	}
	return nil
}
