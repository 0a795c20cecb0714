package driver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// computing is how long a Compute handler takes.
const computing = 5 * time.Millisecond

var (
	awaited  = newNotes() // of Await
	computed = newNotes() // of Compute
)

// Await is the body of the Await method's handler: it returns when its context has ended, and notes
// when it has seen that.
func Await(ctx context.Context) error { return awaited.await(ctx) }

// Compute is the body of the Compute method's handler: it notes when it begins, and computes.
func Compute() {
	now := monotonic()
	computed.note(now)
	for end := now + computing; monotonic() < end; {
		compute(1000)
	}
}

var sink atomic.Uint64 // what was computed: without a use of it, nothing would be

// computeForever has as many goroutines compute as can run at once, until the process ends.
func computeForever(n int) {
	for range n {
		go func() {
			for {
				compute(1 << 20)
			}
		}()
	}
}

func compute(steps int) {
	x := uint64(steps)
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		sink.Add(1)
	}
}

// notes are what handlers of one method have noted.
type notes struct {
	mu    sync.Mutex      // guards what follows
	begun int             // handlers that have come
	times []time.Duration // what they have noted

	changed chan struct{} // one slot: something of it has
}

func newNotes() *notes { return &notes{changed: make(chan struct{}, 1)} }

func (n *notes) await(ctx context.Context) error {
	n.begin()
	<-ctx.Done()
	n.note(monotonic())
	return ctx.Err()
}

func (n *notes) begin() {
	n.mu.Lock()
	n.begun++
	n.mu.Unlock()
	n.signal()
}

func (n *notes) note(t time.Duration) {
	n.mu.Lock()
	n.times = append(n.times, t)
	n.mu.Unlock()
	n.signal()
}

func (n *notes) signal() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

func (n *notes) counts() (begun, noted int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.begun, len(n.times)
}

func (n *notes) all() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]time.Duration{}, n.times...)
}

// waitFor returns once so many have begun and so many have noted something, or after d. Only one
// goroutine may wait.
func (n *notes) waitFor(begun, noted int, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if b, times := n.counts(); b >= begun && times >= noted {
			return
		}
		select {
		case <-n.changed:
		case <-timer.C:
			return
		}
	}
}
