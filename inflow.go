package ttrpc

import (
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/notify"
)

// inflow is what a connection's streams have received and not taken, and where its reader waits for
// room.
type inflow struct {
	budget
	streamLimit  int
	stallTimeout time.Duration // of a stream that is alone

	state atomic.Int32  // an inflowState
	room  chan struct{} // capacity 1: it waits, and bytes were released, a call has come, or closed
}

// inflowState says what the connection's reader does.
//
//	from           event                               to
//	inflowReads    there is no room for what has come  inflowWaits
//	inflowWaits    there is                            inflowReads
//	one of both    the connection is closed            inflowClosed
type inflowState int32

const (
	inflowReads  inflowState = iota
	inflowWaits              // for room
	inflowClosed             // nobody waits any more
)

func (fl *inflow) is(s inflowState) bool { return inflowState(fl.state.Load()) == s }

// move changes the state, if it is as it is thought to be.
func (fl *inflow) move(from, to inflowState) {
	fl.state.CompareAndSwap(int32(from), int32(to))
}

func (fl *inflow) init(l *limits, ext *extensions) {
	fl.window, fl.ext = min(l.streamWindow, l.streamBuffer), ext
	fl.streamLimit, fl.connLimit, fl.stallTimeout = l.streamBuffer, l.connBuffer, l.stallTimeout
	fl.room = make(chan struct{}, 1)
}

// admit counts n more bytes for a stream that has some already. One frame always has room in a
// stream that has none, and in a connection that has none, however small the limits.
func (fl *inflow) admit(buffered, n int) bool {
	if buffered > 0 && buffered+n > fl.streamLimit {
		return false
	}
	if total := fl.buffered.Add(int64(n)); total > int64(fl.connLimit) && total > int64(n) {
		fl.buffered.Add(-int64(n))
		return false
	}
	return true
}

func (fl *inflow) release(n int) {
	fl.buffered.Add(-int64(n))
	fl.noteCall()
}

// noteCall has a waiting reader look again.
func (fl *inflow) noteCall() {
	if fl.is(inflowWaits) {
		notify.One(fl.room)
	}
}

// close lets a waiting reader go.
func (fl *inflow) close() {
	if inflowState(fl.state.Swap(int32(inflowClosed))) == inflowWaits {
		notify.One(fl.room)
	}
}

// await waits for a sign of room, for so long at most.
func (fl *inflow) await(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-fl.room:
	case <-timer.C:
	}
}
