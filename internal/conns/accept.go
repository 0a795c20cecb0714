package conns

import (
	"net"
	"time"
)

// Accept accepts connections from l until that fails, which is its error, or until Close: it
// returns nil then. It closes l. Each connection is given to serve, with a slot. Where l may do
// better later retry is told why it has failed, and after which time it is asked again.
func (s *Set[C]) Accept(l net.Listener, serve func(net.Conn), retry func(failed error, after time.Duration)) error {
	defer l.Close()
	if !s.addListener(l) {
		return nil
	}
	defer s.removeListener(l)
	var backoff time.Duration
	for s.awaitSlot() {
		conn, err := l.Accept()
		switch {
		case err != nil && s.IsDone():
			return nil
		case err != nil:
			if backoff = nextBackoff(err, backoff); backoff == 0 {
				return err
			}
			retry(err, backoff)
			s.pause(backoff)
		case s.TakeSlot():
			backoff = 0
			serve(conn)
		default: // another listener's connection has had the slot until Close
			conn.Close()
		}
	}
	return nil
}

// awaitSlot waits for a slot without keeping it: while a listener waits for a connection another
// may have it. It returns false when the set is closed.
func (s *Set[C]) awaitSlot() bool {
	if s.IsDone() || !s.TakeSlot() {
		return false
	}
	s.FreeSlot()
	return true
}

// nextBackoff returns how long to wait after a failed Accept: 0 when it is of no use, else twice as
// long each time, up to a second.
func nextBackoff(err error, last time.Duration) time.Duration {
	temporary, ok := err.(interface{ Temporary() bool })
	if !ok || !temporary.Temporary() {
		return 0
	}
	return min(max(2*last, 5*time.Millisecond), time.Second)
}

// pause waits, until Close at the latest.
func (s *Set[C]) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	}
}

func (s *Set[C]) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.IsDone() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Set[C]) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}
