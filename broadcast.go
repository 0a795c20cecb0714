package ttrpc

import "sync"

// broadcast tells any number of waiters that something has changed. The zero value is ready.
type broadcast struct {
	mu      sync.Mutex    // guards waiting
	waiting chan struct{} // closed by the next signal; nil: nobody waits
}

// wait returns a channel that is closed at the next signal. A waiter looks only after this call.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

func (b *broadcast) signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}
