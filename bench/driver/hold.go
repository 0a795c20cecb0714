package driver

import "sync"

// held are the calls that wait in their handlers.
var held = newGate()

// Hold is the body of the Hold method's handler: it returns when the driver releases all of them.
func Hold() { held.hold() }

type gate struct {
	mu      sync.Mutex    // guards what follows
	waiting int           // handlers that have come
	open    chan struct{} // closed to let them go

	changed chan struct{} // one slot: waiting has grown
}

func newGate() *gate {
	return &gate{open: make(chan struct{}), changed: make(chan struct{}, 1)}
}

func (g *gate) hold() {
	g.mu.Lock()
	g.waiting++
	open := g.open
	g.mu.Unlock()
	select {
	case g.changed <- struct{}{}:
	default:
	}
	<-open
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
