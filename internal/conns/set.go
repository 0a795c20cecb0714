// Package conns keeps a server's connections: it accepts them from listeners, bounds how many there
// are at a time, and tells when the last has ended. What is done with a connection it does not
// know.
package conns

import (
	"errors"
	"net"
	"sync"
)

// Set is the connections of a server, each a C, and the listeners that they come from.
type Set[C comparable] struct {
	done  chan struct{}    // closed by Close
	idle  chan struct{}    // closed when, besides, no connection is open
	slots chan struct{}    // a token for each connection that has a slot; nil: there is no bound
	inUse func(inUse bool) // see Init

	mu        sync.Mutex // guards all below
	open      map[C]struct{}
	listeners map[net.Listener]struct{} // nil: closed
}

// Init makes a set in which most connections have a slot at a time; 0 is any number. inUse is told,
// under the set's lock, when there is a first connection, and when there is none any more.
func (s *Set[C]) Init(most int, inUse func(inUse bool)) {
	s.done, s.idle, s.inUse = make(chan struct{}), make(chan struct{}), inUse
	s.open, s.listeners = map[C]struct{}{}, map[net.Listener]struct{}{}
	if most > 0 {
		s.slots = make(chan struct{}, most)
	}
}

// Done returns a channel that is closed by Close.
func (s *Set[C]) Done() <-chan struct{} { return s.done }

// IsDone reports whether Close has been called.
func (s *Set[C]) IsDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Idle returns a channel that is closed when Close has been called and no connection is open.
func (s *Set[C]) Idle() <-chan struct{} { return s.idle }

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

// Add says that a connection is open. It returns false when the set is closed.
func (s *Set[C]) Add(c C) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.IsDone() {
		return false
	}
	s.open[c] = struct{}{}
	if len(s.open) == 1 {
		s.inUse(true)
	}
	return true
}

// Remove says that a connection is open no more. It reports whether it was until now.
func (s *Set[C]) Remove(c C) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.open[c]; !open {
		return false
	}
	delete(s.open, c)
	if len(s.open) == 0 {
		s.inUse(false)
	}
	s.signalIdleLocked()
	return true
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

// Close has no further connection accepted or added, and closes the listeners. It returns the
// connections that are open, and the first error of a listener.
func (s *Set[C]) Close() (open []C, failed error) {
	open, listeners := s.end()
	for l := range listeners {
		// Accept may have closed it already.
		if err := l.Close(); failed == nil && !errors.Is(err, net.ErrClosed) {
			failed = err
		}
	}
	return open, failed
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
