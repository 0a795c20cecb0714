package ttrpc

import (
	"math"
	"sync/atomic"

	"github.com/containerd/ttrpc/internal/notify"
)

// Streams between two peers that know the extensions have windows. A direction of a stream is under
// control from the first limit on that its sender is told: it may begin a message while the sum of
// all before, each counted with its header, is below the limit. Until then it sends freely, so that
// short streams, and those whose consumer keeps up, cost nothing.

// budget is what the streams of a connection may hold together. Up to half of it is there for those
// that are not under control; limits are told up to three quarters; the rest is for what was on its
// way when a stream was stopped, and for messages that were begun just below a limit.
type budget struct {
	connLimit int // bytes
	window    int // bytes of a stream, unread and on their way
	ext       *extensions

	buffered atomic.Int64 // bytes received and not taken
	open     atomic.Int64 // bytes that senders have been told they may send, and that have not come
	crowded  atomic.Bool  // both have reached half of connLimit: all streams are under control
}

func (b *budget) used() int64 { return b.buffered.Load() + b.open.Load() }

// share is what one stream may have, unread and on its way: no more than an eighth of what is left,
// so that there is some left for any number of streams.
func (b *budget) share() int {
	return int(min(int64(b.window), max(int64(b.connLimit)/4*3-b.used(), 0)/8))
}

// fills reports, once, that half is used.
func (b *budget) fills() bool {
	return b.used() >= int64(b.connLimit)/2 && b.ext.peerKnows() && b.crowded.CompareAndSwap(false, true)
}

// eases reports, once, that less than a quarter is used again.
func (b *budget) eases() bool {
	return b.crowded.Load() && b.used() < int64(b.connLimit)/4 && b.crowded.CompareAndSwap(true, false)
}

// windowState is how far the control of a stream's Data has come, at its receiver.
//
//	from          event                                                     to
//	windowFree    the consumer waits                                        windowWanted
//	windowWanted  a message comes                                           windowFree
//	one of both   half of the window lies unread, or the budget is crowded  windowTold
//	any           nothing more will come                                    windowClosed
type windowState uint8

const (
	windowFree windowState = iota
	windowWanted
	windowTold
	windowClosed
)

// recvWindow is what the receiver of a stream's Data has told the sender. It is guarded by the
// stream's mu. In its methods unread is what the consumer has not taken.
type recvWindow struct {
	state    windowState
	received uint64 // bytes so far
	limit    uint64 // the last that was told
}

// limitDue is a limit that the sender is to be told of.
type limitDue struct {
	limit uint64
	due   bool
}

// open is what the sender may still send of what it was told.
func (w *recvWindow) open() int64 {
	if w.state != windowTold || w.limit <= w.received {
		return 0
	}
	return int64(min(w.limit-w.received, math.MaxInt64))
}

// pass counts n bytes that have come, and hold no message.
func (w *recvWindow) pass(b *budget, n int) {
	before := w.open()
	w.received += uint64(n)
	b.open.Add(w.open() - before)
}

// count counts n bytes that have come.
func (w *recvWindow) count(b *budget, unread, n int) limitDue {
	w.pass(b, n)
	if w.state == windowWanted {
		w.state = windowFree
	}
	switch {
	case w.state != windowFree:
		return limitDue{}
	case b.crowded.Load():
		return w.grant(b, 0)
	case unread < b.window/2:
		return limitDue{}
	}
	return w.grant(b, b.share()-unread)
}

// renew tells of room that is worth a frame: half of what the stream may have.
func (w *recvWindow) renew(b *budget, unread int) limitDue {
	share := b.share()
	if w.state != windowTold || share-unread-int(w.open()) < max(share/2, 1) {
		return limitDue{}
	}
	return w.grant(b, share-unread)
}

// want says that the consumer waits for a message: the sender may always begin one then.
func (w *recvWindow) want(b *budget) limitDue {
	if w.state == windowFree {
		w.state = windowWanted
	}
	if w.state != windowTold || w.open() > 0 {
		return limitDue{}
	}
	return w.grant(b, max(b.share(), 1))
}

// restrain puts the stream under control: the sender may then begin what the consumer waits for.
func (w *recvWindow) restrain(b *budget) limitDue {
	switch w.state {
	case windowFree:
		return w.grant(b, 0)
	case windowWanted:
		return w.grant(b, 1)
	}
	return limitDue{}
}

// grant sets the limit to so many bytes more than have come.
func (w *recvWindow) grant(b *budget, more int) limitDue {
	limit := w.received + uint64(max(more, 0))
	if !b.ext.peerKnows() || w.state == windowClosed || w.state == windowTold && limit <= w.limit {
		return limitDue{}
	}
	before := w.open()
	w.state, w.limit = windowTold, limit
	b.open.Add(w.open() - before)
	return limitDue{limit, true}
}

// close takes back what the sender might still have sent.
func (w *recvWindow) close(b *budget) {
	b.open.Add(-w.open())
	w.state = windowClosed
}

// noLimit is the limit that lifts the control.
const noLimit = math.MaxUint64

// firstLimit is a limit with which streams begin. It is that of all that have begun under it and
// were told none of their own: that their receiver has seen them begin before it told the limit
// which it has now, or after it, can't be known here. The conn's lock guards it, but for moved.
type firstLimit struct {
	limit uint64           // the latest; noLimit: it is lifted, for those who have it
	moved notify.Broadcast // it has
}

// next takes a limit, and returns what streams begin with from now on. l may be nil.
func (l *firstLimit) next(limit uint64) *firstLimit {
	if l == nil {
		if limit == noLimit {
			return nil
		}
		return &firstLimit{limit: limit}
	}
	rises := limit > l.limit
	if l.limit = limit; rises {
		l.moved.Signal()
	}
	if limit == noLimit {
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

// sendWindow is what a stream may send. It is guarded by the conn's lock, but for moved.
type sendWindow struct {
	state sendState
	sent  uint64           // bytes so far
	limit uint64           // the highest that was told, or noLimit; without meaning in sendFree
	first *firstLimit      // holds as long as no limit was told for this stream; nil: none does
	moved notify.Broadcast // the limit has, or the stream is over
}

// begin takes the limit with which streams begin.
func (w *sendWindow) begin(l *firstLimit) { w.state, w.first = sendFree, l }

// current returns the limit that holds, or noLimit.
func (w *sendWindow) current() uint64 {
	switch {
	case w.first != nil:
		return w.first.limit
	case w.state == sendFree:
		return noLimit
	}
	return w.limit
}

// isShut reports whether no message may be begun.
func (w *sendWindow) isShut() bool { return w.sent >= w.current() }

// raise takes a limit. A lower one than before changes nothing.
func (w *sendWindow) raise(limit uint64) {
	if before := w.current(); before != noLimit || w.state != sendFree {
		limit = max(limit, before)
	}
	if w.state == sendFree {
		w.state = sendTold
	}
	w.first, w.limit = nil, limit
	w.moved.Signal()
}

// close says that nothing more is sent. The limit stays, for who looks at it.
func (w *sendWindow) close() {
	w.limit, w.state = w.current(), sendClosed
}

// changes returns what is closed when the limit has moved: its own, and the one it began with.
func (w *sendWindow) changes() (own, first <-chan struct{}) {
	if w.first != nil {
		first = w.first.moved.Wait()
	}
	return w.moved.Wait(), first
}
