package flow

import "math"

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

// RecvWindow is what the receiver of a stream's Data has told the sender. Its stream's lock guards
// it. In its methods unread is bytes that the consumer has not taken, and the Limit that they
// return is to be told to the sender.
type RecvWindow struct {
	state    windowState
	received uint64 // bytes so far
	limit    uint64 // the last that was told
}

// IsTold reports whether the stream is under control.
func (w *RecvWindow) IsTold() bool { return w.state == windowTold }

// Open is what the sender may still send of what it was told.
func (w *RecvWindow) Open() int64 {
	if w.state != windowTold || w.limit <= w.received {
		return 0
	}
	return int64(min(w.limit-w.received, math.MaxInt64))
}

// Pass counts n bytes that have come, and hold no message.
func (w *RecvWindow) Pass(fl *Inflow, n int) {
	before := w.Open()
	w.received += uint64(n)
	fl.open.Add(w.Open() - before)
}

// Count counts n bytes that have come.
func (w *RecvWindow) Count(fl *Inflow, unread, n int) Limit {
	w.Pass(fl, n)
	if w.state == windowWanted {
		w.state = windowFree
	}
	switch {
	case w.state != windowFree:
		return Limit{}
	case fl.crowded.Load():
		return w.grant(fl, 0)
	case unread < fl.window/2:
		return Limit{}
	}
	return w.grant(fl, fl.share()-unread)
}

// Renew tells of room that is worth a frame: half of what the stream may have.
func (w *RecvWindow) Renew(fl *Inflow, unread int) Limit {
	share := fl.share()
	if w.state != windowTold || share-unread-int(w.Open()) < max(share/2, 1) {
		return Limit{}
	}
	return w.grant(fl, share-unread)
}

// Want says that the consumer waits for a message: the sender may always begin one then.
func (w *RecvWindow) Want(fl *Inflow) Limit {
	if w.state == windowFree {
		w.state = windowWanted
	}
	if w.state != windowTold || w.Open() > 0 {
		return Limit{}
	}
	return w.grant(fl, max(fl.share(), 1))
}

// Restrain puts the stream under control: the sender may then begin what the consumer waits for.
func (w *RecvWindow) Restrain(fl *Inflow) Limit {
	switch w.state {
	case windowFree:
		return w.grant(fl, 0)
	case windowWanted:
		return w.grant(fl, 1)
	}
	return Limit{}
}

// grant sets the limit to so many bytes more than have come.
func (w *RecvWindow) grant(fl *Inflow, more int) Limit {
	limit := w.received + uint64(max(more, 0))
	if !fl.peer.KnowsWindows() || w.state == windowClosed || w.state == windowTold && limit <= w.limit {
		return Limit{}
	}
	before := w.Open()
	w.state, w.limit = windowTold, limit
	fl.open.Add(w.Open() - before)
	return Limit{limit, true}
}

// Close takes back what the sender might still have sent.
func (w *RecvWindow) Close(fl *Inflow) {
	fl.open.Add(-w.Open())
	w.state = windowClosed
}

// IsClosed reports whether nothing more will come.
func (w *RecvWindow) IsClosed() bool { return w.state == windowClosed }

// Received is bytes that have come.
func (w *RecvWindow) Received() uint64 { return w.received }

// Limit is the limit that the sender was told last, if it was told one that holds.
func (w *RecvWindow) Limit() Limit {
	if w.state != windowTold {
		return Limit{}
	}
	return Limit{w.limit, true}
}
