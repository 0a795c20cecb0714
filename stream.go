package ttrpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultStreamBuffer = 8 << 20  // bytes received and not taken, a stream
	defaultConnBuffer   = 32 << 20 // the same, a connection
	stuckAfter          = time.Second
	grace               = 50 * time.Millisecond // awake, before a stream is given up as stuck
)

// stream is the receiving half of one call, the same on both sides of a connection. A unary call uses its
// reply alone; a streaming one has an inbox in front of it.
//
// The connection's reader puts in: push for Data, then end once, after which it does not touch the stream
// again. One consumer at a time takes out, under recvMu. ready wakes it; a wake-up says no more than "look".
type stream struct {
	id    uint32
	ready chan struct{} // capacity 1

	mu    sync.Mutex // guards inbox, held, ended, over, reply, err, answered, stop
	inbox queue      // whole Data frames, not taken yet
	held  int        // bytes in inbox and cur: see countedLocked
	ended bool       // nothing more will come
	over  bool       // nothing more will be taken
	reply *frame     // the Response that ended the stream, if one did
	err   error      // the failure that ended it; with reply nil and err nil the end is io.EOF

	answered bool        // err came from the peer's Response
	stop     func() bool // ends the watch on the call's context; nil: none

	unary  bool // has no Data
	noData bool // a stream whose peer sends none: the answer is a Response
	keeps  bool // held counts beyond the end: a server's stream

	flow  *inflow      // nil for a unary call
	taken atomic.Int64 // when the consumer last took a message, in nanoseconds since clockStart

	recvMu sync.Mutex // guards cur and off, and makes consumers take turns
	cur    *frame     // frames being taken, owned by the consumer
	off    int
}

var clockStart = time.Now()

// clock is cheaper than time.Now: it reads the monotonic clock alone.
func clock() time.Duration { return time.Since(clockStart) }

func (s *stream) wake() { signal(s.ready) }

// settle takes back a wake-up before its consumer looks, so that the next one says that something has changed since.
func (s *stream) settle() {
	select {
	case <-s.ready:
	default:
	}
}

// signal leaves a wake-up in a channel of capacity 1.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// tryPush copies a Data frame into the inbox, if there is room for it.
func (s *stream) tryPush(in *inbound) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return true
	}
	n := len(in.raw)
	if !s.flow.admit(s.held, n) {
		return false
	}
	if s.held == 0 {
		s.taken.Store(int64(clock())) // until now there was nothing to take
	}
	s.held += n
	if in.own != nil && n > smallFrame {
		s.inbox.push(in.take())
	} else {
		s.inbox.pushBytes(in.raw)
	}
	return true
}

// end says that nothing more comes: reply (then owned by the stream) or err tells how it ended, and neither is
// an orderly end. What has come can still be taken. The first end counts.
func (s *stream) end(reply *frame, err error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		if reply != nil {
			reply.free()
		}
		return
	}
	s.reply, s.err = reply, err
	s.closeLocked(false)
}

// kill ends the stream for its consumer too: what was not taken is dropped, and err is all there is to know,
// unless it had failed before.
func (s *stream) kill(err error) {
	s.mu.Lock()
	s.inbox.clear()
	if s.err == nil {
		s.err = err
	}
	s.closeLocked(true)
}

// countedLocked reports whether what the stream holds counts in the connection's buffer. On a server it does until
// the stream is over, which comes with the handler's return at the latest. A client's user may forget a stream
// that the server has ended, so there it does until then.
func (s *stream) countedLocked() bool {
	return s.flow != nil && !s.over && (!s.ended || s.keeps)
}

// closeLocked marks the end and unlocks.
func (s *stream) closeLocked(over bool) {
	counted := s.countedLocked()
	s.ended, s.over = true, s.over || over
	if counted && !s.countedLocked() {
		s.flow.release(s.held)
	}
	stop := s.stop
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	s.wake()
}

// watch calls f when ctx ends before the stream does.
func (s *stream) watch(ctx context.Context, f func()) {
	if ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		stop()
		return
	}
	s.stop = stop
}

// What next returns when it has no data and the stream no error.
var (
	errNothingYet = errors.New("ttrpc: nothing yet")
	errAnswered   = errors.New("ttrpc: answered")
	errStreamOver = errors.New("ttrpc: stream over")
)

// next returns the data of the next Data frame, valid until release. With none at hand it returns
// errNothingYet, or how the stream ended: io.EOF, its error, or errAnswered when there is a reply. The
// caller holds recvMu.
func (s *stream) next() ([]byte, error) {
	for {
		s.release() // had a message's own Unmarshal panicked, nobody has
		if s.cur == nil {
			if err := s.refill(); err != nil {
				return nil, err
			}
		}
		raw := s.cur.b[s.off:]
		h := parseHeader(raw)
		s.off += headerLen + int(h.length)
		s.taken.Store(int64(clock()))
		if h.flags&flagNoData == 0 {
			return raw[headerLen : headerLen+int(h.length)], nil
		}
	}
}

// refill takes the first buffer of the inbox.
func (s *stream) refill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur, s.off = s.inbox.pop(), 0; s.cur != nil {
		return nil
	}
	switch {
	case !s.ended:
		return errNothingYet
	case s.err != nil:
		return s.err
	case s.reply != nil:
		return errAnswered
	}
	return io.EOF
}

// release lets go of the data that next gave out, and of its buffer with the last. The caller holds recvMu.
func (s *stream) release() {
	if s.cur == nil || s.off < len(s.cur.b) {
		return
	}
	n := len(s.cur.b)
	s.cur.free()
	s.cur = nil
	s.mu.Lock()
	s.held -= n
	if s.countedLocked() {
		s.flow.release(n)
	}
	s.mu.Unlock()
}

// inflow is what a connection's streams have received and not taken, and the place where its reader waits for
// room. A window that lets the peer know would stand here too.
type inflow struct {
	streamLimit, connLimit int
	held                   atomic.Int64  // bytes of all streams
	waiting                atomic.Bool   // the reader waits for room
	room                   chan struct{} // capacity 1: bytes were released while it waited, or closed
	closed                 atomic.Bool
}

func (fl *inflow) init(streamLimit, connLimit int) {
	fl.streamLimit, fl.connLimit = streamLimit, connLimit
	fl.room = make(chan struct{}, 1)
}

// solo reports whether the buffers are large enough for a consumer to read for itself.
func (fl *inflow) solo() bool { return min(fl.streamLimit, fl.connLimit) >= soloBuffer }

// admit counts n more bytes for a stream that holds some already. One frame always has room in a stream that
// holds none, and in a connection that holds none, however small the limits.
func (fl *inflow) admit(held, n int) bool {
	if held > 0 && held+n > fl.streamLimit {
		return false
	}
	if total := fl.held.Add(int64(n)); total > int64(fl.connLimit) && total > int64(n) {
		fl.held.Add(-int64(n))
		return false
	}
	return true
}

func (fl *inflow) release(n int) {
	fl.held.Add(-int64(n))
	if fl.waiting.Load() {
		fl.announce()
	}
}

func (fl *inflow) announce() { signal(fl.room) }

// close lets a waiting reader go.
func (fl *inflow) close() {
	fl.closed.Store(true)
	fl.announce()
}

// deliver pushes a Data frame to its stream, and is the one place where a reader waits for the application:
// while the buffers are full and the consumers of the streams that fill them still take messages. One that has
// taken nothing for stuckAfter is stuck, and its stream is failed to make room.
//
// all lists the connection's streams, fail fails one; neither holds the connection's lock when it returns. Unless it
// may wait it returns false instead, and has done nothing.
func (fl *inflow) deliver(s *stream, in *inbound, mayWait bool, all func() []*stream, fail func(*stream)) bool {
	switch {
	case s.tryPush(in):
	case mayWait:
		fl.makeRoom(s, in, all, fail)
	default:
		return false
	}
	s.wake()
	return true
}

// makeRoom waits until a frame has been pushed.
func (fl *inflow) makeRoom(s *stream, in *inbound, all func() []*stream, fail func(*stream)) {
	fl.waiting.Store(true)
	defer fl.waiting.Store(false)
	var suspect *stream
	var seen int64 // when suspect last took a message
	for !s.tryPush(in) && !fl.closed.Load() {
		holders := []*stream{s}
		if fl.held.Load()+int64(len(in.raw)) > int64(fl.connLimit) {
			holders = all()
		}
		slowest, patience := mostStuck(holders)
		switch {
		case patience > grace:
			fl.await(patience - grace)
		case slowest == suspect && slowest.taken.Load() == seen:
			fail(slowest)
		default:
			// The end of the second counts only awake: a process that stood still (stopped, frozen) has lost
			// time that its consumers never had.
			suspect, seen = slowest, slowest.taken.Load()
			fl.await(grace)
		}
	}
}

// mostStuck returns the stream whose consumer has left messages lying for longest, and how much longer it may.
func mostStuck(streams []*stream) (slowest *stream, patience time.Duration) {
	patience = stuckAfter
	for _, s := range streams {
		if p, ok := s.patience(); ok && p < patience {
			slowest, patience = s, p
		}
	}
	return slowest, patience
}

// patience is how much longer the consumer may take nothing; not ok when there is nothing to take.
func (s *stream) patience() (left time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return stuckAfter - (clock() - time.Duration(s.taken.Load())), s.held > 0 && s.countedLocked()
}

// await waits for an announcement of room, for so long at most.
func (fl *inflow) await(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-fl.room:
	case <-timer.C:
	}
}

func (s *stream) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}
