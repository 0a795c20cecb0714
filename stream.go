package ttrpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/notify"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// stream is the receiving half of one call, the same on both sides of a connection. A client's
// unary call uses its reply alone; a streaming one has an inbox in front of it.
//
// The connection's reader puts in: push for Data, then closeRecv once, after which it does not
// touch the stream again. One consumer at a time takes out, under recvMu. ready wakes it;
// a wake-up says no more than "look".
type stream struct {
	id         uint32
	kind       callKind
	countUntil recvState     // what it has counts in flow before this state
	ready      chan struct{} // capacity 1
	flow       *flow.Inflow  // nil for a unary call, which has no Data
	stats      *callStats    // nil without a handler, and for a unary call
	name       callName      // a client's; for snapshots

	outgoing flow.SendWindow // guarded by the conn's lock

	lastRecv atomic.Int64 // when the consumer last took a message, in nanoseconds on the clock
	sent     atomic.Int32 // messages since the last RecvMsg

	mu       sync.Mutex // guards all below, down to stop
	state    recvState
	inbox    wire.Queue // whole Data frames, not taken yet
	buffered int        // bytes in inbox and cur: see countedLocked
	incoming flow.RecvWindow
	reply    *wire.Frame // in recvReplied
	err      error       // the failure that ended it; nil where the end is io.EOF
	stop     func() bool // ends the watch on the call's context; nil: none

	recvMu sync.Mutex  // guards all below, and makes consumers take turns
	cur    *wire.Frame // frames being taken, owned by the consumer
	off    int         // of the next one in cur
	waits  int         // of the consumer since it last found that messages had been sent
}

// callName is what a client's call is called. It is written before the call is in flight, and read
// under the conn's lock while it is.
type callName struct {
	service, method string
	since           time.Duration // on the clock; 0: not known
}

// callKind says what each side of a call sends.
type callKind uint8

const (
	callUnary        callKind = iota // a Request and a Response
	callOneEach                      // the same, by a stream's API
	callClientStream                 // the client a stream, the server a Response
	callServerStream                 // the client a Request, the server a stream
	callBidi                         // both a stream
)

// streamKind is the kind of a stream.
func streamKind(client, server bool) callKind {
	switch {
	case client && server:
		return callBidi
	case client:
		return callClientStream
	case server:
		return callServerStream
	}
	return callOneEach
}

func (k callKind) clientStreams() bool { return k == callClientStream || k == callBidi }
func (k callKind) serverStreams() bool { return k == callServerStream || k == callBidi }

// String is the kind's name in a snapshot.
func (k callKind) String() string {
	return [...]string{"unary", "server stream", "client stream", "server stream", "bidi stream"}[k]
}

func (s *stream) receiver() *stream { return s }

func (s *stream) wake() { notify.One(s.ready) }

// clearWake takes back a wake-up before its consumer looks,
// so that the next one says that something has changed since.
func (s *stream) clearWake() {
	select {
	case <-s.ready:
	default:
	}
}

// push copies a Data frame into the inbox, if there is room for it. An ended stream drops it.
// The sender is to be told of due.
func (s *stream) push(in *transport.Inbound) (ok bool, due flow.Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != recvOpen {
		return true, due
	}
	n := len(in.Raw)
	if !s.flow.Admit(s.buffered, n, s.incoming.IsTold()) {
		return false, due
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
	return true, s.incoming.Count(s.flow, s.buffered, n)
}

// pass counts a Data frame that holds no message. A consumer that waits looks again, and tells the
// sender what it may still send.
func (s *stream) pass(n int) {
	s.mu.Lock()
	s.incoming.Pass(s.flow, n)
	s.mu.Unlock()
	s.wake()
}

// closeRecv says that nothing more comes: reply (then owned by the stream) or err tells how it
// ended, and neither is an orderly end. What has come can still be taken. The first end counts.
func (s *stream) closeRecv(reply *wire.Frame, err error) {
	s.mu.Lock()
	before := s.state
	if !s.state.end(reply != nil) {
		s.mu.Unlock()
		if reply != nil {
			reply.Free()
		}
		return
	}
	s.reply, s.err = reply, err
	stop := s.endLocked(before)
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
	before := s.state
	s.state.discard()
	stop := s.endLocked(before)
	s.mu.Unlock()
	s.announceEnd(stop)
}

// endLocked gives back what a stream no longer needs that has come from a state into one in which
// nothing more comes. It returns how to end the watch on the call's context.
func (s *stream) endLocked(before recvState) (stop func() bool) {
	if before == recvOpen && s.flow != nil {
		s.incoming.Close(s.flow)
	}
	if before < s.countUntil && !s.countedLocked() {
		s.flow.Release(s.buffered)
	}
	return s.stop
}

// reuse returns how a unary call has ended, of which only its caller knows by then, and makes the
// stream ready for the next.
func (s *stream) reuse() (reply *wire.Frame, err error) {
	reply, err = s.reply, s.err
	s.state, s.reply, s.err = recvOpen, nil, nil
	return reply, err
}

func (s *stream) announceEnd(stop func() bool) {
	if stop != nil {
		stop()
	}
	s.outgoing.Wake()
	s.wake()
}

// countedLocked reports whether what the stream holds counts in the connection's buffer. On a
// server it does until the stream is over, which comes with the handler's return at the latest. A
// client's user may forget a stream that the server has ended, so there it does until then.
func (s *stream) countedLocked() bool {
	return s.state < s.countUntil
}

// watch calls f when ctx ends before the stream does.
func (s *stream) watch(ctx context.Context, f func()) {
	if ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != recvOpen {
		stop()
		return
	}
	s.stop = stop
}

// taken says that the consumer has done with n bytes.
func (s *stream) taken(n int) flow.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffered -= n
	if s.countedLocked() {
		s.flow.Release(n)
	}
	return s.incoming.Renew(s.flow, s.buffered)
}

// want says that the consumer waits.
func (s *stream) want() flow.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.incoming.Want(s.flow)
}

// restrain says that the connection's budget is crowded.
func (s *stream) restrain() flow.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.incoming.Restrain(s.flow)
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
	return s.state != recvOpen
}
