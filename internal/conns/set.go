// Package conns keeps a server's connections: it accepts them from listeners, bounds how many there
// are at a time, and shuts them down, until the last has ended. What goes over a connection it does
// not know.
package conns

import (
	"net"
	"sync"

	"github.com/containerd/ttrpc/internal/notify"
)

// Set is the connections of a server, each a C, and the listeners that they come from.
type Set[C Conn] struct {
	done     chan struct{}    // closed when Close or Shutdown has begun
	idle     chan struct{}    // closed when, besides, no connection is open
	slots    chan struct{}    // a token for each connection that has a slot; nil: there is no bound
	inUse    func(inUse bool) // see Init
	progress notify.Broadcast // of a shutdown: a connection has come to its next Stage

	mu        sync.Mutex                // guards all below
	open      map[C]chan<- struct{}     // each with what Remove closes, or nil
	listeners map[net.Listener]struct{} // nil: closed
}

// Init makes a set in which most connections have a slot at a time; 0 is any number. inUse is told,
// under the set's lock, when there is a first connection, and when there is none any more.
func (s *Set[C]) Init(most int, inUse func(inUse bool)) {
	s.done, s.idle, s.inUse = make(chan struct{}), make(chan struct{}), inUse
	s.open, s.listeners = map[C]chan<- struct{}{}, map[net.Listener]struct{}{}
	if most > 0 {
		s.slots = make(chan struct{}, most)
	}
}

// Done returns a channel that is closed when Close or Shutdown has begun.
func (s *Set[C]) Done() <-chan struct{} { return s.done }

// IsDone reports whether Close or Shutdown has begun.
func (s *Set[C]) IsDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// TakeSlot waits for the number of connections to be under its bound. It returns false when the set
// is closed meanwhile. Whoever has a slot frees it: it may be longer in use than the connection is
// open.
func (s *Set[C]) TakeSlot() bool {
	if s.slots == nil {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-s.done:
		return false
	}
}

// FreeSlot gives a slot back.
func (s *Set[C]) FreeSlot() {
	if s.slots != nil {
		<-s.slots
	}
}

// Add says that a connection, which has a slot, is open. over, unless it is nil, is closed when it
// is open no more. Add returns false when the set is closed: the slot has been given back then.
func (s *Set[C]) Add(c C, over chan<- struct{}) bool {
	if s.add(c, over) {
		return true
	}
	s.FreeSlot()
	return false
}

func (s *Set[C]) add(c C, over chan<- struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.IsDone() {
		return false
	}
	s.open[c] = over
	if len(s.open) == 1 {
		s.inUse(true)
	}
	return true
}

// remove says that a connection is open no more. A second time changes nothing.
func (s *Set[C]) remove(c C) {
	s.mu.Lock()
	defer s.mu.Unlock()
	over, open := s.open[c]
	if !open {
		return
	}
	delete(s.open, c)
	if over != nil {
		close(over)
	}
	if len(s.open) == 0 {
		s.inUse(false)
	}
	s.signalIdleLocked()
	s.progress.Signal()
}

// Open lists the connections that are open.
func (s *Set[C]) Open() []C {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openLocked()
}

func (s *Set[C]) openLocked() []C {
	all := make([]C, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	return all
}

// end closes the set, and returns what there is in it. The listeners are for whoever is first.
func (s *Set[C]) end() (open []C, listeners map[net.Listener]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.IsDone() {
		close(s.done)
		s.signalIdleLocked()
	}
	listeners, s.listeners = s.listeners, nil
	return s.openLocked(), listeners
}

// signalIdleLocked is where a closed set notices that no connection is open.
func (s *Set[C]) signalIdleLocked() {
	if s.IsDone() && len(s.open) == 0 {
		close(s.idle)
	}
}
