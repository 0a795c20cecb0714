package ttrpc

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/containerd/ttrpc/internal/conns"
	"github.com/containerd/ttrpc/internal/notify"
	"github.com/containerd/ttrpc/internal/runner"
	"github.com/containerd/ttrpc/internal/transport"
)

// Server serves registered services on any number of listeners.
// All its methods are safe for concurrent use.
type Server struct {
	serverConfig
	registry registry
	runner   runner.Runner
	conns    conns.Set[*serverConn]
	progress notify.Broadcast // of a shutdown: a call was answered, or a connection closed
}

// NewServer returns a server without services. Its error is an option's.
func NewServer(opts ...ServerOpt) (*Server, error) {
	s := &Server{serverConfig: defaultServerConfig()}
	for _, opt := range opts {
		if err := opt(&s.serverConfig); err != nil {
			return nil, err
		}
	}
	s.runner.Init(s.goroutinePerCall)
	s.conns.Init(s.maxConns, s.runner.SetOpen)
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
	s.registry.add(&service{config: &s.serverConfig, name: name, desc: desc})
}

// Services returns what is registered at the moment, by the services' names. The maps of each
// ServiceDesc are copies, and the handlers in them are those that were registered, without the
// server's interceptors. Like a call it reads the maps that were registered, so nobody may change
// these at the same time.
func (s *Server) Services() map[string]ServiceDesc {
	services := map[string]ServiceDesc{}
	for name, svc := range s.registry.services.All() {
		services[name] = ServiceDesc{Methods: maps.Clone(svc.desc.Methods), Streams: maps.Clone(svc.desc.Streams)}
	}
	return services
}

// addConn counts a connection that has a slot, unless the server is closed: it closes it then.
func (s *Server) addConn(sc *serverConn) bool {
	if s.conns.Add(sc) {
		return true
	}
	sc.conn.NetConn().Close()
	s.conns.FreeSlot()
	return false
}

// connClosed is called for each connection when it has been closed, and a second time where closing
// it took long. Handlers may still run that have not looked at their context.
func (s *Server) connClosed(sc *serverConn) {
	if s.conns.Remove(sc) && sc.over != nil {
		close(sc.over)
	}
	s.progress.Signal()
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
	if ctx == nil { // the original takes it, where there is nothing to wait for
		ctx = context.Background()
	}
	open, failed := s.conns.Close()
	for _, sc := range open {
		sc.drain()
	}
	if sc, _ := ctx.Value(connKey{}).(*serverConn); sc != nil && sc.server == s {
		return cmp.Or(s.shutdownWithin(ctx, sc), failed)
	}
	select {
	case <-s.conns.Idle():
		return failed
	default:
	}
	select {
	case <-s.conns.Idle():
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
func (s *Server) awaitFlushed() (answered bool) {
	ctx, cancel := context.WithTimeout(context.Background(), flushGrace)
	defer cancel()
	err := s.progress.Await(ctx, func() (done bool) {
		var written bool
		answered, written = s.isAnswered()
		return !answered || written
	})
	return answered && err == nil
}

func (s *Server) isAnswered() (answered, written bool) {
	answered, written = true, true
	for _, sc := range s.conns.Open() {
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
	return s.progress.Await(ctx, func() bool {
		return !slices.ContainsFunc(s.conns.Open(), func(sc *serverConn) bool { return !sc.isQuiet() })
	})
}

// Close closes listeners and connections at once. Calls in flight are cut: their clients get
// ErrClosed and their contexts end. It does not wait for them. Its error is a listener's.
func (s *Server) Close() error {
	open, failed := s.conns.Close()
	for _, sc := range open {
		sc.fail(transport.ErrDone)
	}
	return failed
}

// Done returns a channel that is closed when Shutdown or Close has begun. The handler of a call
// that has no end of its own, such as a watch, returns then: Shutdown waits for it. No call begins
// any more then, so a watch that is opened again at once is refused; one that has begun just before
// finds the channel closed.
func (s *Server) Done() <-chan struct{} { return s.conns.Done() }
