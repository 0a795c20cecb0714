package driver

import "sync"

// held are the calls that wait in their handlers.
var held = gate{open: make(chan struct{}), changed: make(chan struct{}, 1)}

// Hold is the body of the Hold method's handler: it returns when the driver releases all of them.
func Hold() {
	held.mu.Lock()
	held.waiting++
	open := held.open
	held.mu.Unlock()
	select {
	case held.changed <- struct{}{}:
	default:
	}
	<-open
}

type gate struct {
	mu      sync.Mutex    // guards what follows
	waiting int           // handlers that have come
	open    chan struct{} // closed to let them go

	changed chan struct{} // one slot: waiting has grown
}

// waitFor returns once n handlers wait. Only one goroutine may wait.
func (g *gate) waitFor(n int) {
	for {
		g.mu.Lock()
		enough := g.waiting >= n
		g.mu.Unlock()
		if enough {
			return
		}
		<-g.changed
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
	g.open, g.waiting = make(chan struct{}), 0
}
