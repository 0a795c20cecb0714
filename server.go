package ttrpc

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Server serves registered services on any number of listeners. All its methods are safe for concurrent use.
type Server struct {
	serverConfig
	registry registry
	workers  workers

	mu        sync.Mutex // guards all below; taken last
	listeners map[net.Listener]struct{}
	conns     map[*serverConn]struct{}
	closing   bool
	done      chan struct{} // closed when closing is set
	idle      chan struct{} // closed when closing is set and no connection is left
	slots     chan struct{} // a token for each connection, where their number is bounded
}

// NewServer returns a server without services. Its error is an option's.
func NewServer(opts ...ServerOpt) (*Server, error) {
	s := &Server{
		serverConfig: defaultServerConfig(),
		listeners:    make(map[net.Listener]struct{}),
		conns:        make(map[*serverConn]struct{}),
		done:         make(chan struct{}),
		idle:         make(chan struct{}),
	}
	for _, opt := range opts {
		if err := opt(&s.serverConfig); err != nil {
			return nil, err
		}
	}
	if s.maxConns > 0 {
		s.slots = make(chan struct{}, s.maxConns)
	}
	return s, nil
}

// Serve accepts connections from l and serves them until l fails or the server is closed, in which case it
// returns ErrServerClosed. It closes l. ctx is the parent of the contexts of all calls: its end cancels them, but
// does not end Serve.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer l.Close()
	if !s.addListener(l) {
		return ErrServerClosed
	}
	defer s.removeListener(l)
	var backoff time.Duration
	for {
		if !s.awaitSlot() {
			return ErrServerClosed
		}
		conn, err := l.Accept()
		if err == nil {
			backoff = 0
			if !s.takeSlot() { // another listener's connection may have had it meanwhile
				conn.Close()
				return ErrServerClosed
			}
			s.serveConn(ctx, conn)
			continue
		}
		if s.isClosing() {
			return ErrServerClosed
		}
		if backoff = nextBackoff(err, backoff); backoff == 0 {
			return err
		}
		s.log("ttrpc: accept failed", "error", err, "backoff", backoff)
		if !s.pause(backoff) {
			return ErrServerClosed
		}
	}
}

// nextBackoff returns how long to wait after a failed Accept: 0 when it is of no use, else twice as long each
// time, up to a second.
func nextBackoff(err error, last time.Duration) time.Duration {
	temporary, ok := err.(interface{ Temporary() bool })
	if !ok || !temporary.Temporary() {
		return 0
	}
	return min(max(2*last, 5*time.Millisecond), time.Second)
}

// pause waits, and reports whether the server is still open then.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

// takeSlot waits for the number of connections to be under its bound.
func (s *Server) takeSlot() bool {
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

// awaitSlot waits for a slot without keeping it: while a listener waits for a connection another may have it.
func (s *Server) awaitSlot() bool {
	if !s.takeSlot() {
		return false
	}
	s.freeSlot()
	return true
}

func (s *Server) freeSlot() {
	if s.slots != nil {
		<-s.slots
	}
}

// serveConn starts a connection's goroutine.
func (s *Server) serveConn(ctx context.Context, conn net.Conn) {
	sc := newServerConn(s, ctx, conn)
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		conn.Close()
		s.freeSlot()
		return
	}
	s.conns[sc] = struct{}{}
	s.mu.Unlock()
	go sc.run()
}

// connDone is called once for each connection, when its goroutine has ended and no call is left.
func (s *Server) connDone(sc *serverConn) {
	s.freeSlot()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, sc)
	s.settleLocked()
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Shutdown stops accepting connections and calls, closes each connection when the calls in flight on it have
// been answered, and waits for that. It returns ctx.Err() when ctx ends first (the rest goes on then, and Close cuts it
// short), else what closing a listener has failed with, or nil.
func (s *Server) Shutdown(ctx context.Context) error {
	conns, failed := s.close()
	for _, sc := range conns {
		sc.drain()
	}
	select {
	case <-s.idle:
		return failed
	default:
	}
	select {
	case <-s.idle:
		return failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes listeners and connections at once. Calls in flight are cut: their clients get ErrClosed and their
// contexts end. It does not wait for them. Its error is a listener's.
func (s *Server) Close() error {
	conns, failed := s.close()
	for _, sc := range conns {
		sc.fail(errConnDone)
	}
	return failed
}

// close stops the accepting and returns the connections there are, and the first error of a listener.
func (s *Server) close() ([]*serverConn, error) {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.done)
		s.settleLocked()
	}
	conns := make([]*serverConn, 0, len(s.conns))
	for sc := range s.conns {
		conns = append(conns, sc)
	}
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	var failed error
	for l := range listeners {
		if err := l.Close(); failed == nil && !errors.Is(err, net.ErrClosed) { // as Serve may have closed it
			failed = err
		}
	}
	return conns, failed
}

// settleLocked is where a closing server notices that it is done.
func (s *Server) settleLocked() {
	if !s.closing || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
		s.workers.close()
	}
}

func (s *Server) log(msg string, args ...any) {
	if s.logger != nil {
		s.logger.Warn(msg, args...)
	}
}
