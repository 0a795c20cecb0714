package conns

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"
)

// Conn is a connection of a server. Its methods are called without a lock, and more than once.
type Conn interface {
	comparable
	// Drain has it close when the calls in flight on it have been answered, and take no others.
	Drain()
	// Cut has it close at once.
	Cut()
	// Stage is how far it has come since Drain.
	Stage() Stage
}

// Stage is how far a connection has come that drains.
//
//	stage     of the calls in flight                             who waits for it
//	Busy      at least one is to be answered
//	Quiet     those that are left wait in ShutdownWithin         ShutdownWithin
//	Answered  all are answered                                   Shutdown, whose context has ended
//	Written   the answers are on their way, or it is closed      the same, for a moment
//
// A connection goes down this table, but for handlers that return from ShutdownWithin.
type Stage uint8

// The stages.
const (
	Busy Stage = iota
	Quiet
	Answered
	Written
)

// Advanced says that a connection may have come to its next Stage.
func (s *Set[C]) Advanced() { s.progress.Signal() }

// stage is that of the connection which is behind all others.
func (s *Set[C]) stage() Stage {
	least := Written
	for _, c := range s.Open() {
		least = min(least, c.Stage())
	}
	return least
}

// close has no further connection accepted or added, and closes the listeners. Each connection that
// is open is given to each. The error is the first of a listener's.
func (s *Set[C]) close(each func(C)) (failed error) {
	open, listeners := s.end()
	for l := range listeners {
		// Accept may have closed it already.
		if err := l.Close(); failed == nil && !errors.Is(err, net.ErrClosed) {
			failed = err
		}
	}
	for _, c := range open {
		each(c)
	}
	return failed
}

// Close closes listeners and connections, and waits for nothing. Its error is the first of a
// listener's.
func (s *Set[C]) Close() error { return s.close(C.Cut) }

// Shutdown closes the listeners, has the connections drain, and waits until none is open. When ctx
// ends before all calls are answered it returns ctx.Err(), else the first error of a listener's.
func (s *Set[C]) Shutdown(ctx context.Context) error {
	failed := s.close(C.Drain)
	select {
	case <-s.idle:
		return failed
	default:
	}
	select {
	case <-s.idle:
		return failed
	case <-ctx.Done():
	}
	if !s.awaitWritten() {
		return ctx.Err()
	}
	return failed
}

// flushGrace is how long answers have to be written once the context of Shutdown has ended.
const flushGrace = 100 * time.Millisecond

// awaitWritten reports whether all calls have been answered. Answers that are about to be written
// get a moment.
func (s *Set[C]) awaitWritten() bool {
	ctx, cancel := context.WithTimeout(context.Background(), flushGrace)
	defer cancel()
	var stage Stage
	err := s.progress.Await(ctx, func() bool {
		stage = s.stage()
		return stage < Answered || stage == Written
	})
	return err == nil && stage == Written
}

// ShutdownWithin is Shutdown for the handler of a call, whose connection knows of that before: it
// waits for all calls but those whose handlers do the same.
func (s *Set[C]) ShutdownWithin(ctx context.Context) error {
	failed := s.close(C.Drain)
	s.progress.Signal()
	return cmp.Or(s.progress.Await(ctx, func() bool { return s.stage() >= Quiet }), failed)
}

// closeGrace is how long the closing of a connection is waited for.
const closeGrace = 100 * time.Millisecond

// Remove says that a connection is open no more, once closeConn has returned. That takes its time
// with SO_LINGER, with descriptors of the peer's that wait in the socket, and with a conn of the
// user's, as TLS with a stuck peer: after closeGrace the connection counts as closed.
func (s *Set[C]) Remove(c C, closeConn func()) {
	timer := time.AfterFunc(closeGrace, func() { s.remove(c) })
	closeConn()
	timer.Stop()
	s.remove(c)
}
