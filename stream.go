package ttrpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// burst is how many messages a sender writes itself without receiving any; further ones are left to
// another goroutine. A consumer that has waited so often without sending gains more from a reader
// that reads ahead.
const burst = 4

// stream is the receiving half of one call, the same on both sides of a connection. A client's
// unary call uses its reply alone; a streaming one has an inbox in front of it.
//
// The connection's reader puts in: push for Data, then closeRecv once, after which it does not
// touch the stream again. One consumer at a time takes out, under recvMu. ready wakes it;
// a wake-up says no more than "look".
type stream struct {
	id    uint32
	ready chan struct{} // capacity 1
	flow  *inflow       // nil for a unary call, which has no Data

	noData        bool // a stream whose peer sends none: the answer is a Response
	countAfterEnd bool // buffered counts beyond the end: a server's stream

	lastRecv atomic.Int64 // when the consumer last took a message, in nanoseconds on the clock
	sent     atomic.Int32 // messages since the last RecvMsg

	mu       sync.Mutex // guards all below, down to stop
	inbox    wire.Queue // whole Data frames, not taken yet
	buffered int        // bytes in inbox and cur: see countedLocked
	ended    bool       // nothing more will come
	over     bool       // nothing more will be taken
	reply    *wire.Frame
	err      error       // the failure that ended it; with reply nil and err nil the end is io.EOF
	answered bool        // err came from the peer's Response
	stop     func() bool // ends the watch on the call's context; nil: none

	recvMu sync.Mutex  // guards all below, and makes consumers take turns
	cur    *wire.Frame // frames being taken, owned by the consumer
	off    int         // of the next one in cur
	waits  int         // of the consumer since it last found that messages had been sent
}

// consumer is what a stream's side has to say of the messages that it receives.
type consumer interface {
	// decode decodes a message.
	decode(data []byte, m any) error
	// takeAnswer decodes the Response that has ended the stream.
	takeAnswer(m any) error
	// interrupted returns why a consumer no longer waits for the next message, or nil.
	interrupted() error
}

func (s *stream) receiver() *stream { return s }

func (s *stream) wake() { signal(s.ready) }

// clearWake takes back a wake-up before its consumer looks,
// so that the next one says that something has changed since.
func (s *stream) clearWake() {
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

// push copies a Data frame into the inbox, if there is room for it. An ended stream drops it.
func (s *stream) push(in *transport.Inbound) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return true
	}
	n := len(in.Raw)
	if !s.flow.admit(s.buffered, n) {
		return false
	}
	if s.buffered == 0 {
		s.lastRecv.Store(int64(transport.Clock())) // until now there was nothing to take
	}
	s.buffered += n
	if in.Whole() && n > wire.SmallFrame {
		s.inbox.Push(in.Take())
	} else {
		s.inbox.PushBytes(in.Raw)
	}
	return true
}

// closeRecv says that nothing more comes: reply (then owned by the stream) or err tells how it
// ended, and neither is an orderly end. What has come can still be taken. The first end counts.
func (s *stream) closeRecv(reply *wire.Frame, err error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		if reply != nil {
			reply.Free()
		}
		return
	}
	s.reply, s.err = reply, err
	stop := s.markLocked(false)
	s.mu.Unlock()
	s.announceEnd(stop)
}

// discard ends the stream for its consumer too: what was not taken is dropped, and err is all there
// is to know, unless it had failed before.
func (s *stream) discard(err error) {
	s.mu.Lock()
	s.inbox.Clear()
	if s.err == nil {
		s.err = err
	}
	stop := s.markLocked(true)
	s.mu.Unlock()
	s.announceEnd(stop)
}

// markLocked marks the end, and returns how to end the watch on the call's context.
func (s *stream) markLocked(over bool) (stop func() bool) {
	counted := s.countedLocked()
	s.ended, s.over = true, s.over || over
	if counted && !s.countedLocked() {
		s.flow.release(s.buffered)
	}
	return s.stop
}

func (s *stream) announceEnd(stop func() bool) {
	if stop != nil {
		stop()
	}
	s.wake()
}

// countedLocked reports whether what the stream holds counts in the connection's buffer. On a
// server it does until the stream is over, which comes with the handler's return at the latest. A
// client's user may forget a stream that the server has ended, so there it does until then.
func (s *stream) countedLocked() bool {
	return s.flow != nil && !s.over && (!s.ended || s.countAfterEnd)
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

// next returns these when it has no data and the stream no error.
var (
	errNothingYet = errors.New("ttrpc: nothing yet")
	errAnswered   = errors.New("ttrpc: answered")
)

// receive waits for the next message and has side decode it into m.
func (s *stream) receive(c *conn, side consumer, m any) error {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	if s.sent.Swap(0) > 0 {
		s.waits = 0
	}
	for {
		s.clearWake()
		data, err := s.next()
		switch err {
		case nil:
			err = side.decode(data, m)
			s.release()
			return err
		case errAnswered:
			return side.takeAnswer(m)
		case errNothingYet:
			if err := side.interrupted(); err != nil && !s.isEnded() {
				return err
			} else if err == nil {
				s.await(c)
			}
		default:
			return err
		}
	}
}

// await waits for something to happen to the stream.
func (s *stream) await(c *conn) {
	if s.waits++; s.waits <= burst {
		c.readFor(s)
	}
	<-s.ready
}

// next returns the data of the next Data frame, valid until release. With none at hand it returns
// errNothingYet, or how the stream ended: io.EOF, its error,
// or errAnswered when there is a reply. The caller holds recvMu.
func (s *stream) next() ([]byte, error) {
	for {
		s.release() // where a message's own Unmarshal has panicked, nobody has
		if s.cur == nil {
			if err := s.refill(); err != nil {
				return nil, err
			}
		}
		raw := s.cur.Bytes()[s.off:]
		h := wire.ParseHeader(raw)
		s.off += wire.HeaderLen + int(h.Length)
		s.lastRecv.Store(int64(transport.Clock()))
		if h.Flags&wire.FlagNoData == 0 {
			return raw[wire.HeaderLen : wire.HeaderLen+int(h.Length)], nil
		}
	}
}

// refill takes the first buffer of the inbox.
func (s *stream) refill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur, s.off = s.inbox.Pop(), 0; s.cur != nil {
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

// release lets go of the data that next gave out, and of its buffer with the last.
// The caller holds recvMu.
func (s *stream) release() {
	if s.cur == nil || s.off < s.cur.Len() {
		return
	}
	n := s.cur.Len()
	s.cur.Free()
	s.cur = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffered -= n
	if s.countedLocked() {
		s.flow.release(n)
	}
}

// stallLeft is how much longer the consumer may take nothing;
// it is not ok when there is nothing to take.
func (s *stream) stallLeft(timeout time.Duration) (left time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := transport.Clock() - time.Duration(s.lastRecv.Load())
	return timeout - idle, s.buffered > 0 && s.countedLocked()
}

func (s *stream) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// flushMessage writes a message that the stream has sent, or has it written: who sends many in a
// row fills the next write meanwhile.
func (s *stream) flushMessage(posted transport.Unwritten, mayBlock bool) {
	if s.sent.Add(1) > burst {
		posted.FlushLater()
	} else {
		posted.Flush(mayBlock)
	}
}
