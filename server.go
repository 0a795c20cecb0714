package ttrpc

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/notify"
	"github.com/containerd/ttrpc/internal/transport"
)

// Server serves registered services on any number of listeners.
// All its methods are safe for concurrent use.
type Server struct {
	serverConfig
	registry registry
	workers  workers
	inline   inline           //inline:
	progress notify.Broadcast // of a shutdown: a call was answered, or a connection closed

	mu        sync.Mutex // guards all below; taken last
	listeners map[net.Listener]struct{}
	conns     map[*serverConn]struct{}
	closing   bool
	done      chan struct{} // closed when closing is set
	idle      chan struct{} // closed when closing is set and all connections are closed
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
	s.workers.fresh = s.goroutinePerCall
	s.inline.readOn = func(sc *serverConn) { go s.workers.work(errand{read: sc, inside: true}) } //inline:
	if s.maxConns > 0 {
		s.slots = make(chan struct{}, s.maxConns)
	}
	return s, nil
}

// Register registers the unary methods of a service. It panics when the name is taken. It may be
// called while the server runs. The map stays the caller's: methods that are added later are
// served, as long as no call comes while the map is changed.
func (s *Server) Register(name string, methods map[string]Method) {
	s.RegisterService(name, &ServiceDesc{Methods: methods})
}

// RegisterService registers a service. It panics when the name is taken. It may be called while the
// server runs. Where a method and a stream have one name the method is served. The maps stay the
// caller's, as with [Server.Register].
func (s *Server) RegisterService(name string, desc *ServiceDesc) {
	if desc == nil {
		desc = &ServiceDesc{}
	}
	svc := &service{config: &s.serverConfig, name: name, desc: desc}
	svc.composed.Store(&map[string]*method{})
	s.registry.add(svc)
}

// Services returns what is registered at the moment, by the services' names. The maps of each
// ServiceDesc are copies, and the handlers in them are those that were registered, without the
// server's interceptors. Like a call it reads the maps that were registered, so nobody may change
// these at the same time.
func (s *Server) Services() map[string]ServiceDesc {
	services := map[string]ServiceDesc{}
	if registered := s.registry.services.Load(); registered != nil {
		for name, svc := range *registered {
			services[name] = ServiceDesc{Methods: maps.Clone(svc.desc.Methods), Streams: maps.Clone(svc.desc.Streams)}
		}
	}
	return services
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

// awaitSlot waits for a slot without keeping it:
// while a listener waits for a connection another may have it.
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

// addConn counts a connection that has a slot, unless the server is closed: it closes it then.
func (s *Server) addConn(sc *serverConn) bool {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		sc.netConn.Close()
		s.freeSlot()
		return false
	}
	s.conns[sc] = struct{}{}
	if len(s.conns) == 1 {
		s.workers.setOpen(true)
	}
	s.mu.Unlock()
	return true
}

// connClosed is called for each connection when it has been closed, and a second time where closing
// it took long. Handlers may still run that have not looked at their context.
func (s *Server) connClosed(sc *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, open := s.conns[sc]; open && sc.over != nil {
		close(sc.over)
	}
	delete(s.conns, sc)
	if len(s.conns) == 0 {
		s.workers.setOpen(false)
	}
	s.signalIdleLocked()
	s.progress.Signal()
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Shutdown stops accepting connections and calls, closes each connection when the calls in flight
// on it have been answered, and waits for that: not for handlers whose client has gone, nor for
// goroutines that a handler has left behind. It returns ctx.Err() when ctx ends before the calls
// are answered (the rest goes on then, and Close cuts it short),
// else what closing a listener has failed with, or nil.
// A handler that would go on for ever learns of it by [Server.Done].
//
// A handler may call it with its own context, or one that is derived from it:
// its own call is not waited for then.
func (s *Server) Shutdown(ctx context.Context) error {
	conns, failed := s.close()
	for _, sc := range conns {
		sc.drain()
	}
	if sc, _ := ctx.Value(connKey{}).(*serverConn); sc != nil && sc.server == s {
		return cmp.Or(s.shutdownWithin(ctx, sc), failed)
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
	}
	if !s.awaitFlushed() {
		return ctx.Err()
	}
	return failed
}

// flushGrace is how long answers have to be written once the context of Shutdown has ended.
const flushGrace = 100 * time.Millisecond

// awaitFlushed reports whether everybody has been answered.
// Answers that are about to be written get a moment.
func (s *Server) awaitFlushed() bool {
	timer := time.NewTimer(flushGrace)
	defer timer.Stop()
	for {
		more := s.progress.Wait()
		answered, written := s.isAnswered()
		if !answered || written {
			return answered
		}
		select {
		case <-more:
		case <-timer.C:
			return false
		}
	}
}

func (s *Server) isAnswered() (answered, written bool) {
	answered, written = true, true
	for _, sc := range s.openConns() {
		a, w := sc.isAnswered()
		answered, written = answered && a, written && w
	}
	return answered, written
}

// shutdownWithin waits, for a handler of the connection,
// for all calls but those whose handlers do the same.
func (s *Server) shutdownWithin(ctx context.Context, sc *serverConn) error {
	own, _ := ctx.Value(callKey{}).(*callContext)
	sc.waitsForSelf(own, 1)
	defer sc.waitsForSelf(own, -1)
	s.progress.Signal()
	for {
		more := s.progress.Wait()
		if !slices.ContainsFunc(s.openConns(), func(sc *serverConn) bool { return !sc.isQuiet() }) {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openConns lists the connections that have not been closed.
func (s *Server) openConns() []*serverConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connsLocked()
}

func (s *Server) connsLocked() []*serverConn {
	conns := make([]*serverConn, 0, len(s.conns))
	for sc := range s.conns {
		conns = append(conns, sc)
	}
	return conns
}

// Close closes listeners and connections at once. Calls in flight are cut: their clients get
// ErrClosed and their contexts end. It does not wait for them. Its error is a listener's.
func (s *Server) Close() error {
	conns, failed := s.close()
	for _, sc := range conns {
		sc.fail(transport.ErrDone)
	}
	return failed
}

// Done returns a channel that is closed when Shutdown or Close has begun. The handler of a call
// that has no end of its own, such as a watch, returns then: Shutdown waits for it. No call begins
// any more then, so a watch that is opened again at once is refused; one that has begun just before
// finds the channel closed.
func (s *Server) Done() <-chan struct{} { return s.done }

func (s *Server) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// close stops the accepting and returns the connections there are,
// and the first error of a listener.
func (s *Server) close() ([]*serverConn, error) {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		close(s.done)
		s.signalIdleLocked()
	}
	conns := s.connsLocked()
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	var failed error
	for l := range listeners {
		// Serve may have closed it already.
		if err := l.Close(); failed == nil && !errors.Is(err, net.ErrClosed) {
			failed = err
		}
	}
	return conns, failed
}

// signalIdleLocked is where a closing server notices that its connections are closed.
func (s *Server) signalIdleLocked() {
	if !s.closing || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}
