package recv

import (
	"errors"
	"io"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Next returns these when it has no data and the half no error.
var (
	ErrNothingYet = errors.New("ttrpc: nothing yet")
	ErrAnswered   = errors.New("ttrpc: answered")
)

// Next returns the next message, and the frame that holds it, which stays the half's. Both are
// valid until Release, which comes before the next Next. With none at hand it returns
// ErrNothingYet, or how the half ended: io.EOF, its error, or ErrAnswered when there is a reply.
func (h *Half) Next() (f *wire.Frame, data []byte, err error) {
	if h.cur == nil {
		if err := h.refill(); err != nil {
			return nil, nil, err
		}
	}
	raw := h.cur.Bytes()[h.off:]
	n := wire.FrameLen(raw)
	h.off += n
	h.lastTaken.Store(int64(transport.Clock()))
	return h.cur, raw[wire.HeaderLen:n], nil
}

// refill takes the first buffer of the inbox.
func (h *Half) refill() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cur, h.off = h.inbox.Pop(), 0; h.cur != nil {
		return nil
	}
	switch {
	case h.state == open:
		return ErrNothingYet
	case h.state == replied:
		return ErrAnswered
	case h.err != nil:
		return h.err
	}
	return io.EOF
}

// Release lets go of the message that Next gave out, if it did, and of its buffer with the last one
// there. It reports whether that has made room, of which the sender is to be told what is due.
func (h *Half) Release() (room bool, due flow.Limit) {
	if h.cur == nil || h.off < h.cur.Len() {
		return false, due
	}
	return true, h.free()
}

// free ends the use of a buffer whose messages the consumer has all done with.
func (h *Half) free() flow.Limit {
	n := h.cur.Len()
	h.cur.Free()
	h.cur = nil
	h.mu.Lock()
	h.buffered -= n
	if h.countsLocked() {
		h.inflow.Release(n)
	}
	due := h.window.Renew(h.inflow, h.buffered)
	h.mu.Unlock()
	return due
}

// Want says that the consumer waits for a message, and returns what the sender is to be told.
func (h *Half) Want() flow.Limit {
	h.mu.Lock()
	due := h.window.Want(h.inflow)
	h.mu.Unlock()
	return due
}

// TakeReply hands the Response over to a consumer to whom Next has returned ErrAnswered. The end is
// io.EOF from then on, or what SetStatus says.
func (h *Half) TakeReply() *wire.Frame {
	h.mu.Lock()
	reply := h.reply
	h.reply = nil
	h.state.takeReply()
	h.mu.Unlock()
	return reply
}

// SetStatus says which error the Response was.
func (h *Half) SetStatus(err error) {
	h.mu.Lock()
	h.err = err
	h.mu.Unlock()
}

// Reuse returns how a unary call has ended, of which only its caller knows by then, and makes the
// half ready for the next. The Response is the caller's.
func (h *Half) Reuse() (reply *wire.Frame, err error) {
	reply, err = h.reply, h.err
	h.state, h.reply, h.err = open, nil, nil
	return reply, err
}

// Ready has a wake-up when there may be something to take. Who delays that wake-up leaves it there
// himself.
func (h *Half) Ready() chan struct{} { return h.ready }

// HasWake reports whether there is a wake-up that the consumer has not taken.
func (h *Half) HasWake() bool { return len(h.ready) > 0 }

// ClearWake takes back a wake-up before its consumer looks,
// so that the next one says that something has changed since.
func (h *Half) ClearWake() {
	select {
	case <-h.ready:
	default:
	}
}
