package flow

import "sync/atomic"

// Peer is the one at the other end.
type Peer interface {
	KnowsWindows() bool // it may be told limits
}

// budget is what the streams of a connection may hold together. Up to a quarter of it is there for
// those that are not under control; limits are told up to three quarters; the rest is for what was
// on its way when a stream was stopped, and for messages that were begun just below a limit. Where
// the processors are busy that is much: a sender may see its limit some milliseconds late.
type budget struct {
	_ [0]func() // no code is made that compares two of these

	connLimit int // bytes
	window    int // bytes of a stream, unread and on their way
	peer      Peer

	buffered atomic.Int64 // bytes received and not taken
	open     atomic.Int64 // bytes that senders have been told they may send, and that have not come
	crowded  atomic.Bool  // both have reached a quarter of connLimit: all streams are under control
}

func (b *budget) used() int64 { return b.buffered.Load() + b.open.Load() }

// share is what one stream may have, unread and on its way: no more than an eighth of what is left,
// so that there is some left for any number of streams.
func (b *budget) share() int {
	return int(min(int64(b.window), max(int64(b.connLimit)/4*3-b.used(), 0)/8))
}

// Fills reports, once, that a quarter is used.
func (b *budget) Fills() bool {
	return b.used() >= int64(b.connLimit)/4 && b.peer.KnowsWindows() && b.crowded.CompareAndSwap(false, true)
}

// Eases reports, once, that less than an eighth is used again.
func (b *budget) Eases() bool {
	return b.crowded.Load() && b.used() < int64(b.connLimit)/8 && b.crowded.CompareAndSwap(true, false)
}

// IsCrowded reports whether all streams are under control.
func (b *budget) IsCrowded() bool { return b.crowded.Load() }

// Buffered is bytes received and not taken.
func (b *budget) Buffered() int { return int(b.buffered.Load()) }

// Promised is bytes that senders have been told they may send, and that have not come.
func (b *budget) Promised() int { return int(b.open.Load()) }
