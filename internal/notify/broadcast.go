// Package notify wakes goroutines that wait for a change.
package notify

import (
	"context"
	"sync"
)

// Broadcast tells any number of waiters that something has changed. The zero value is ready.
type Broadcast struct {
	mu      sync.Mutex    // guards waiting
	waiting chan struct{} // closed by the next Signal; nil: nobody waits
}

// Wait returns a channel that is closed at the next Signal. A waiter looks only after this call.
func (b *Broadcast) Wait() <-chan struct{} {
	b.mu.Lock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	waiting := b.waiting
	b.mu.Unlock()
	return waiting
}

// Signal wakes those who wait.
func (b *Broadcast) Signal() {
	b.mu.Lock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
	b.mu.Unlock()
}

// Await waits until holds, which is asked at once and after each Signal. It returns ctx.Err() when
// ctx ends first.
func (b *Broadcast) Await(ctx context.Context, holds func() bool) error {
	for {
		more := b.Wait()
		if holds() {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
