package flow

import (
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/notify"
)

// Inflow is what a connection's streams have received and not taken, and where its reader waits for
// room.
type Inflow struct {
	budget
	streamLimit int // bytes

	state atomic.Int32  // an inflowState
	space chan struct{} // capacity 1: it waits, and bytes were released, a call has come, or closed
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

func (fl *Inflow) is(s inflowState) bool { return inflowState(fl.state.Load()) == s }

// move changes the state, if it is as it is thought to be.
func (fl *Inflow) move(from, to inflowState) {
	fl.state.CompareAndSwap(int32(from), int32(to))
}

// Init sets the limits of a stream and of the connection, in bytes, and a stream's window.
func (fl *Inflow) Init(stream, conn, window int, peer Peer) {
	fl.streamLimit, fl.connLimit, fl.window, fl.peer = stream, conn, min(window, stream), peer
	fl.space = make(chan struct{}, 1)
}

// Admit counts n more bytes for a stream that has some already. One frame always has room in a
// stream that has none, and in a connection that has none, however small the limits. A stream that
// is under control has no limit of its own: its sender is being stopped, and what comes still was
// on its way, megabytes where the sender is slow to hear of it.
func (fl *Inflow) Admit(buffered, n int, controlled bool) bool {
	if !controlled && buffered > 0 && buffered+n > fl.streamLimit {
		return false
	}
	if total := fl.buffered.Add(int64(n)); total > int64(fl.connLimit) && total > int64(n) {
		fl.buffered.Add(-int64(n))
		return false
	}
	return true
}

// Count counts n bytes without a look at the limits.
func (fl *Inflow) Count(n int) { fl.buffered.Add(int64(n)) }

// Release says that n bytes were taken, or are not counted any more.
func (fl *Inflow) Release(n int) {
	fl.buffered.Add(-int64(n))
	fl.LookAgain()
}

// FillsConn reports whether n bytes more are too many for the connection, whatever stream has them.
func (fl *Inflow) FillsConn(n int) bool { return fl.buffered.Load()+int64(n) > int64(fl.connLimit) }

// LookAgain has a waiting reader look again.
func (fl *Inflow) LookAgain() {
	if fl.is(inflowWaits) {
		notify.One(fl.space)
	}
}

// Close lets a waiting reader go.
func (fl *Inflow) Close() {
	if inflowState(fl.state.Swap(int32(inflowClosed))) == inflowWaits {
		notify.One(fl.space)
	}
}

// BeginWait says that the reader waits for room, until EndWait.
func (fl *Inflow) BeginWait() { fl.move(inflowReads, inflowWaits) }

// EndWait says that it does no longer.
func (fl *Inflow) EndWait() { fl.move(inflowWaits, inflowReads) }

// Waits reports whether the reader waits for room.
func (fl *Inflow) Waits() bool { return fl.is(inflowWaits) }

// IsClosed reports whether nobody waits for room any more.
func (fl *Inflow) IsClosed() bool { return fl.is(inflowClosed) }

// Await waits for a sign of room.
func (fl *Inflow) Await() { <-fl.space }

// AwaitFor waits for a sign of room, for so long at most.
func (fl *Inflow) AwaitFor(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-fl.space:
	case <-timer.C:
	}
}
