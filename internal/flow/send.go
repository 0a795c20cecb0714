package flow

import "github.com/containerd/ttrpc/internal/notify"

// FirstLimit is a limit with which streams begin. It is that of all that have begun under it and
// were told none of their own: that their receiver has seen them begin before it told the limit
// which it has now, or after it, can't be known here. The connection's lock guards it, but for
// moved.
type FirstLimit struct {
	limit uint64           // the latest; NoLimit: it is lifted, for those who have it
	moved notify.Broadcast // it has
}

// Next takes a limit, and returns what streams begin with from now on. l may be nil.
func (l *FirstLimit) Next(limit uint64) *FirstLimit {
	if l == nil {
		if limit == NoLimit {
			return nil
		}
		return &FirstLimit{limit: limit}
	}
	rises := limit > l.limit
	if l.limit = limit; rises {
		l.moved.Signal()
	}
	if limit == NoLimit {
		return nil
	}
	return l
}

// sendState is how far the sending half of a stream has come.
//
//	from      event                          to
//	sendFree  it is told a limit of its own  sendTold
//	any       CloseSend                      sendClosed
//
// A server's stream is never sendClosed: it may send as long as its call is in flight.
type sendState uint8

const (
	sendFree   sendState = iota // no limit holds but the one with which it began, if there is one
	sendTold                    // one of its own does
	sendClosed                  // nothing more is sent
)

// SendWindow is what a stream may send. The connection's lock guards it, but for moved.
type SendWindow struct {
	state sendState
	sent  uint64           // bytes so far
	limit uint64           // the highest that was told, or NoLimit; without meaning in sendFree
	first *FirstLimit      // holds as long as no limit was told for this stream; nil: none does
	moved notify.Broadcast // the limit has, or the stream is over
}

// Begin takes the limit with which streams begin.
func (w *SendWindow) Begin(l *FirstLimit) { w.state, w.first = sendFree, l }

// Current returns the limit that holds, or NoLimit.
func (w *SendWindow) Current() uint64 {
	switch {
	case w.first != nil:
		return w.first.limit
	case w.state == sendFree:
		return NoLimit
	}
	return w.limit
}

// IsShut reports whether no message may be begun.
func (w *SendWindow) IsShut() bool { return w.sent >= w.Current() }

// Raise takes a limit. A lower one than before changes nothing.
func (w *SendWindow) Raise(limit uint64) {
	if before := w.Current(); before != NoLimit || w.state != sendFree {
		limit = max(limit, before)
	}
	if w.state == sendFree {
		w.state = sendTold
	}
	w.first, w.limit = nil, limit
	w.moved.Signal()
}

// Close says that nothing more is sent. The limit stays, for who looks at it.
func (w *SendWindow) Close() {
	w.limit, w.state = w.Current(), sendClosed
}

// Changes returns what is closed when the limit has moved: its own, and the one it began with.
func (w *SendWindow) Changes() (own, first <-chan struct{}) {
	if w.first != nil {
		first = w.first.moved.Wait()
	}
	return w.moved.Wait(), first
}

// IsClosed reports whether nothing more is sent.
func (w *SendWindow) IsClosed() bool { return w.state == sendClosed }

// Sent is bytes so far.
func (w *SendWindow) Sent() uint64 { return w.sent }

// Count counts n bytes that are sent.
func (w *SendWindow) Count(n int) { w.sent += uint64(n) }

// Wake has those look again who wait for a change: the stream is over.
func (w *SendWindow) Wake() { w.moved.Signal() }
