package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/containerd/ttrpc/internal/wire"
)

// ErrDone is what writing has ended with after CloseWhenFlushed.
var ErrDone = errors.New("ttrpc: connection closed by the server")

// backlog is the state of the sending half: the frames that are posted and not written, who writes
// them, and who waits for it. It writes nothing itself.
type backlog struct {
	_ [0]func() // no code is made that compares two of these

	limit int         // of unwritten, from which on WaitSpace waits
	full  atomic.Bool // the limit is reached, and nothing has failed; changed under mu

	mu sync.Mutex // guards all below

	// The frames.
	out       wire.Queue // posted, and in nobody's hands
	outFrames int        // in out, at the most
	unwritten int        // bytes in out and in the hands of whoever writes
	posted    uint64     // bytes ever; the last of them, as many as unwritten, are not out
	inHand    int        // bytes of unwritten that may be out: of the one who writes
	reached   uint64     // once sendErr is set: bytes ever that may have been written

	// Who writes them.
	state   sendState
	sendErr error // why nothing can be written any more; nil before

	// Who waits for that.
	space    chan struct{} // closed when there is space; nil: nobody waits
	watching int           // how many are in WaitWritten: they look after each write
}

// post puts f, which it takes, behind the backlog, and returns how many bytes were posted with it.
func (b *backlog) post(f *wire.Frame) (at uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sendErr != nil {
		f.Free()
		return b.posted, b.sendErr
	}
	b.unwritten += f.Len()
	b.posted += uint64(f.Len())
	b.out.Push(f)
	b.outFrames++
	if b.unwritten >= b.limit {
		b.full.Store(true)
	}
	return b.posted, nil
}

// begin makes the caller the one who writes, and returns the first buffer to be written. It is nil
// when there is none, or when somebody else writes.
func (b *backlog) begin() *wire.Frame {
	b.mu.Lock()
	var f *wire.Frame
	if !b.out.Empty() && b.state.claim() {
		f = b.popLocked()
	}
	b.mu.Unlock()
	return f
}

// claim is begin for a goroutine that comes later. It leaves the frames where others are still
// joined to them, and reports whether that goroutine is the one who writes.
func (b *backlog) claim() bool {
	b.mu.Lock()
	claimed := !b.out.Empty() && b.state.claim()
	b.mu.Unlock()
	return claimed
}

// next returns the next buffer to the one who writes. It is nil when Stop has dropped them.
func (b *backlog) next() *wire.Frame {
	b.mu.Lock()
	f := b.popLocked()
	b.mu.Unlock()
	return f
}

func (b *backlog) popLocked() *wire.Frame {
	f := b.out.Pop()
	if b.out.Empty() {
		b.outFrames = 0
	}
	if f != nil {
		b.inHand = f.Len()
	}
	return f
}

// written is called by the one who writes, for so many bytes that next or begin has given out.
// Where more is true there are further ones, and it is the caller's to write them. flushed says
// that these were the last, after closeWhenFlushed.
func (b *backlog) written(n int) (more, flushed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unwritten -= n
	b.inHand = 0
	if b.unwritten < b.limit && b.full.Load() {
		b.full.Store(false)
	}
	if b.unwritten <= b.limit/4 || b.watching > 0 {
		b.announceSpaceLocked()
	}
	if !b.out.Empty() {
		return true, false
	}
	if flushed = b.state.written(); flushed {
		b.endLocked(ErrDone)
	}
	return false, flushed
}

// tookPart is called by the one who writes, where that has failed: so many bytes may be out.
func (b *backlog) tookPart(n int) {
	b.mu.Lock()
	b.inHand = n
	b.mu.Unlock()
}

// NeverWritten reports whether a frame can't have been written whole, nor will be: writing has
// ended before. at is that of its Unwritten.
func (b *backlog) NeverWritten(at uint64) bool {
	b.mu.Lock()
	never := b.sendErr != nil && at > b.reached
	b.mu.Unlock()
	return never
}

// closeWhenFlushed ends the half when all is written. flushed says that it is already.
func (b *backlog) closeWhenFlushed() (flushed bool) {
	b.mu.Lock()
	if flushed = b.state.close(!b.out.Empty()); flushed {
		b.endLocked(ErrDone)
	}
	b.mu.Unlock()
	return flushed
}

// Stop ends the sending half without telling anybody; it reports whether the half was still up. The
// backlog is dropped, and those who wait for space return.
func (b *backlog) Stop(err error) bool {
	b.mu.Lock()
	stopped := b.state.stop()
	if stopped {
		b.endLocked(err)
	}
	b.mu.Unlock()
	return stopped
}

func (b *backlog) endLocked(err error) {
	b.sendErr = err
	b.reached = b.posted - uint64(b.unwritten-b.inHand)
	b.full.Store(false)
	b.out.Clear()
	b.announceSpaceLocked()
}

// Flushed reports whether all is written after CloseWhenFlushed.
func (b *backlog) Flushed() bool {
	b.mu.Lock()
	flushed := b.state == sendFlushed
	b.mu.Unlock()
	return flushed
}

// Unwritten is how many bytes are posted and not written.
func (b *backlog) Unwritten() int {
	b.mu.Lock()
	n := b.unwritten
	b.mu.Unlock()
	return n
}

// Posted is how many bytes were ever posted.
func (b *backlog) Posted() uint64 {
	b.mu.Lock()
	n := b.posted
	b.mu.Unlock()
	return n
}

// allWritten is how many bytes were ever written, up to the buffer that is being written.
func (b *backlog) allWritten() uint64 {
	b.mu.Lock()
	n := b.posted - uint64(b.unwritten)
	b.mu.Unlock()
	return n
}

// Full reports whether the backlog's limit is reached.
func (b *backlog) Full() bool { return b.full.Load() }

// AwaitSpace is WaitSpace for those who do not give up. With space it costs next to nothing.
func (b *backlog) AwaitSpace() {
	if b.full.Load() {
		_ = b.WaitSpace(context.Background()) // which has no error; a failed half has space
	}
}

// WaitSpace returns when the backlog is under its limit or the half has ended, with nil, and with
// ctx's error when that ends first.
func (b *backlog) WaitSpace(ctx context.Context) error { return b.waitBelow(ctx, b.limit) }

// WaitStreamSpace is WaitSpace for the messages of streams. They stop at half of the limit, or else
// those who send without end would fill the backlog again each time,
// before a server's reader sees that there was space.
func (b *backlog) WaitStreamSpace(ctx context.Context) error {
	return b.waitBelow(ctx, b.streamLimit())
}

func (b *backlog) streamLimit() int { return max(b.limit/2, 1) }

// HasStreamSpace reports whether WaitStreamSpace would not wait. Of many who have waited at once
// the first may have taken the space.
func (b *backlog) HasStreamSpace() bool {
	b.mu.Lock()
	has := b.sendErr != nil || b.unwritten < b.streamLimit()
	b.mu.Unlock()
	return has
}

func (b *backlog) waitBelow(ctx context.Context, limit int) error {
	return b.wait(ctx, func() bool { return b.unwritten < limit })
}

// WaitWritten is WaitSpace for the first n bytes that were ever posted to be written.
func (b *backlog) WaitWritten(ctx context.Context, n uint64) error {
	b.watch(1)
	defer b.watch(-1)
	return b.wait(ctx, func() bool { return b.posted-uint64(b.unwritten) >= n })
}

func (b *backlog) watch(n int) {
	b.mu.Lock()
	b.watching += n
	b.mu.Unlock()
}

// wait returns when enough, which is called with the lock held, holds or the half has ended.
func (b *backlog) wait(ctx context.Context, enough func() bool) error {
	for {
		space := b.spaceUnless(enough)
		if space == nil {
			return nil
		}
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// spaceUnless returns nil when enough holds, and else a channel that is closed when there is more
// space.
func (b *backlog) spaceUnless(enough func() bool) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sendErr != nil || enough() {
		return nil
	}
	if b.space == nil {
		b.space = make(chan struct{})
	}
	return b.space
}

func (b *backlog) announceSpaceLocked() {
	if b.space != nil {
		close(b.space)
		b.space = nil
	}
}
