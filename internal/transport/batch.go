package transport

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

// Where many call at once, one write for all of them costs less than one for each. So one of those
// who are about to flush yields once, lets the others post, and writes for all. A yield costs a
// goroutine its turn, and in a process with busy goroutines that is long. So nobody yields unless
// frames have lately come, or left, several at once; and not for a while after a yield that has
// coalesced nothing, or has taken long.
const (
	batchWrite   = 2 << 10                // bytes that are worth a write while more are about to come
	batchFrames  = 16                     // frames that are: those who are answered go on meanwhile
	batchMemory  = 16                     // reads and writes of one frame that end a time of batches
	yieldTime    = 200 * time.Microsecond // a yield that takes longer does not pay
	yieldSkips   = 10                     // log2 of the flushes that go without, at the most
	batchedAtOne = 2                      // frames in one read or write that are a batch
)

// batching is what a connection knows of batches. Its counts are estimates: those who change one at
// the same time may lose a change. coalescing is exact.
type batching struct {
	recent     atomic.Int32 // goes down with each read and write of a single frame; set by batches
	skip       atomic.Int32 // flushes to go without a yield
	misses     atomic.Int32 // yields in a row that did not pay
	coalescing atomic.Bool  // somebody is about to flush, and lets others post before
}

// InBatches reports whether frames have lately come or left several at once.
func (b *batching) InBatches() bool { return b.recent.Load() > 0 }

// count says that so many frames came, or left, at once.
func (b *batching) count(frames int) {
	if recent := b.recent.Load(); frames >= batchedAtOne {
		if recent != batchMemory {
			b.recent.Store(batchMemory)
		}
	} else if recent > 0 {
		b.recent.Store(recent - 1)
	}
}

// countWrite counts the frames in a buffer that is about to be written: one, or several.
func (b *batching) countWrite(f *wire.Frame) {
	if wire.FrameLen(f.Bytes()) < f.Len() {
		b.count(batchedAtOne)
	} else {
		b.count(1)
	}
}

// worthYield reports whether a yield is likely to pay.
func (b *batching) worthYield() bool {
	if !b.InBatches() {
		return false
	}
	if b.skip.Load() <= 0 {
		return true
	}
	b.skip.Add(-1)
	return false
}

// yielded counts what a yield has coalesced, in bytes, and how long it has taken.
func (b *batching) yielded(bytes int, took time.Duration) {
	if bytes > 0 && took < yieldTime {
		b.misses.Store(0)
		return
	}
	misses := b.misses.Add(1)
	if took >= yieldTime {
		misses = yieldSkips
	}
	b.skip.Store(1 << min(misses, yieldSkips))
}

func (t *Transport) flushBatched(mayBlock bool) {
	switch {
	case t.coalescing.Load():
		if t.isBatch() {
			t.flush(mayBlock)
		}
	case t.worthYield() && t.coalescing.CompareAndSwap(false, true):
		t.yieldAndFlush(mayBlock)
	default:
		t.flush(mayBlock)
	}
}

// Coalesce has those in FlushBatched leave the writing to the caller, who has to call
// FlushCoalesced soon. It reports whether that is so.
func (t *Transport) Coalesce() bool {
	return t.worthYield() && t.coalescing.CompareAndSwap(false, true)
}

// FlushCoalesced yields and writes for those who have left it to the caller.
func (t *Transport) FlushCoalesced() { t.yieldAndFlush(false) }

// yieldAndFlush lets others post and writes for them. Whoever finds coalescing set has posted
// before it is cleared here, so before the flush.
func (t *Transport) yieldAndFlush(mayBlock bool) {
	before, began := t.waiting(), Clock()
	runtime.Gosched()
	t.coalescing.Store(false)
	t.yielded(t.waiting()-before, Clock()-began)
	t.flush(mayBlock)
}

// waiting is how many bytes are posted and in nobody's hands.
func (t *Transport) waiting() int {
	t.mu.Lock()
	n := t.out.Bytes()
	t.mu.Unlock()
	return n
}

// isBatch reports whether as much is posted and in nobody's hands as is worth a write.
func (t *Transport) isBatch() bool {
	t.mu.Lock()
	batch := t.outFrames >= batchFrames || t.out.Bytes() >= batchWrite
	t.mu.Unlock()
	return batch
}
