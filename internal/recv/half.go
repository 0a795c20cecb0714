// Package recv is the receiving half of a call: what has come for it and was not taken, and how it
// has ended. It knows neither the connection nor the call, and so it returns what is to be told to
// the sender.
package recv

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

// Half is the receiving half of one call, the same on both sides of a connection. A client's unary
// call uses its reply alone; a streaming one has an inbox in front of it. Init or InitStream makes
// it ready.
//
// The connection's reader puts in: Push and Pass for Data, then End once, after which it does not
// touch the half again. One consumer at a time takes out, by the methods in take.go; where there
// are several, they take turns by a lock of their own. Ready wakes it, and a wake-up says no more
// than "look". All other methods may be called by anybody.
type Half struct {
	ready     chan struct{} // capacity 1: a wake-up for the consumer
	inflow    *flow.Inflow  // nil for a unary call, which has no Data
	lastTaken atomic.Int64  // when the consumer last took a message, in nanoseconds on the clock
	cur       *wire.Frame   // the consumer's: frames being taken
	off       int           // the consumer's: of the next one in cur
	until     Until

	mu       sync.Mutex // guards all below
	state    state
	inbox    wire.Queue // whole Data frames, not taken yet
	buffered int        // bytes in inbox and cur: see countsLocked
	window   flow.RecvWindow
	reply    *wire.Frame // in the state replied
	err      error       // the failure that ended it; nil where the end is io.EOF
	stop     func() bool // ends the watch on a context; nil: none
}

// Until says how long what a half holds counts in the connection's buffer.
type Until uint8

const (
	// UntilEnded is for a client, whose user may forget a stream that the server has ended.
	UntilEnded = Until(ended)
	// UntilDiscarded is for a server: that comes with the handler's return at the latest.
	UntilDiscarded = Until(discarded)
)

// Init makes a unary call's half ready, which gets no Data.
func (h *Half) Init() { h.ready = make(chan struct{}, 1) }

// InitStream makes a stream's half ready. What it holds counts in inflow.
func (h *Half) InitStream(inflow *flow.Inflow, until Until) {
	h.Init()
	h.inflow, h.until = inflow, until
}

// PushFirst takes the message that has come with the Request, before anybody else knows the half.
// It counts, and is taken whatever the limits: the Request had to fit. The consumer's time starts
// now.
func (h *Half) PushFirst(f *wire.Frame) {
	h.buffered = f.Len()
	h.inflow.Count(h.buffered)
	h.lastTaken.Store(int64(transport.Clock()))
	h.inbox.Push(f)
}

// Push copies a Data frame that has a message into the inbox, if there is room for it. An ended
// half drops it. The sender is to be told of due.
func (h *Half) Push(in *transport.Inbound) (ok bool, due flow.Limit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != open {
		return true, due
	}
	n := len(in.Raw)
	if !h.inflow.Admit(h.buffered, n, h.window.IsTold()) {
		return false, due
	}
	if h.buffered == 0 {
		h.lastTaken.Store(int64(transport.Clock())) // until now there was nothing to take
	}
	h.buffered += n
	if in.Whole() && n > wire.SmallFrame {
		h.inbox.Push(in.Take())
	} else {
		h.inbox.PushBytes(in.Raw)
	}
	return true, h.window.Count(h.inflow, h.buffered, n)
}

// Pass counts a Data frame of n bytes that holds no message. A consumer that waits looks again, and
// tells the sender what it may still send.
func (h *Half) Pass(n int) {
	h.mu.Lock()
	h.window.Pass(h.inflow, n)
	h.mu.Unlock()
	h.Wake()
}

// End says that nothing more comes: reply (then owned by the half) or err tells how it ended, and
// neither is an orderly end. What has come can still be taken. The first end counts, and End
// reports whether this is it.
func (h *Half) End(reply *wire.Frame, err error) (first bool) {
	h.mu.Lock()
	before := h.state
	if !h.state.end(reply != nil) {
		h.mu.Unlock()
		if reply != nil {
			reply.Free()
		}
		return false
	}
	h.reply, h.err = reply, err
	stop := h.endLocked(before)
	h.mu.Unlock()
	h.announceEnd(stop)
	return true
}

// Discard ends the half for its consumer too: what was not taken is dropped, and err is all there
// is to know, unless it had failed before.
func (h *Half) Discard(err error) {
	h.mu.Lock()
	h.inbox.Clear()
	if h.err == nil {
		h.err = err
	}
	before := h.state
	h.state.discard()
	stop := h.endLocked(before)
	h.mu.Unlock()
	h.announceEnd(stop)
}

// endLocked gives back what a half no longer needs that has come from a state into one in which
// nothing more comes. It returns how to end the watch on a context.
func (h *Half) endLocked(before state) (stop func() bool) {
	if before == open && h.inflow != nil {
		h.window.Close(h.inflow)
	}
	if before < state(h.until) && !h.countsLocked() {
		h.inflow.Release(h.buffered)
	}
	return h.stop
}

func (h *Half) announceEnd(stop func() bool) {
	if stop != nil {
		stop()
	}
	h.Wake()
}

// countsLocked reports whether what the half holds counts in the connection's buffer.
func (h *Half) countsLocked() bool { return h.state < state(h.until) }

// Watch calls f when ctx ends before the half does.
func (h *Half) Watch(ctx context.Context, f func()) {
	stop := context.AfterFunc(ctx, f)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != open {
		stop()
		return
	}
	h.stop = stop
}

// Restrain says that the connection's budget is crowded, and returns what the sender is to be told.
func (h *Half) Restrain() flow.Limit {
	h.mu.Lock()
	due := h.window.Restrain(h.inflow)
	h.mu.Unlock()
	return due
}

// Wake has the consumer look.
func (h *Half) Wake() { notify.One(h.ready) }

// IsEnded reports whether nothing more comes.
func (h *Half) IsEnded() bool {
	h.mu.Lock()
	ended := h.state != open
	h.mu.Unlock()
	return ended
}

// Failure is the error by which the half has ended: nil while more may come, after an orderly end,
// and after a Response, whatever that says.
func (h *Half) Failure() error {
	h.mu.Lock()
	err := h.err
	if h.state == answered {
		err = nil
	}
	h.mu.Unlock()
	return err
}

// IdleSince is when the consumer last took a message, or when it got the first that it could take.
// It is not ok where there is nothing to take by which the connection's buffer would have room.
func (h *Half) IdleSince() (clock time.Duration, ok bool) {
	h.mu.Lock()
	clock, ok = time.Duration(h.lastTaken.Load()), h.buffered > 0 && h.countsLocked()
	h.mu.Unlock()
	return clock, ok
}

// Progress is how far a half has come. It is plain data.
type Progress struct {
	Ended    bool       // nothing more comes
	Unread   int        // bytes that have come and were not taken
	Received uint64     // bytes that have come
	Limit    flow.Limit // the last that the sender was told, if it holds
}

// Progress returns how far the half has come.
func (h *Half) Progress() Progress {
	h.mu.Lock()
	progress := Progress{h.state != open, h.buffered, h.window.Received(), h.window.Limit()}
	h.mu.Unlock()
	return progress
}
