package ttrpc

import (
	"context"
	"maps"

	"github.com/containerd/ttrpc/internal/conns"
	"github.com/containerd/ttrpc/internal/runner"
)

// Server serves registered services on any number of listeners.
// All its methods are safe for concurrent use.
type Server struct {
	serverConfig
	registry registry
	runner   runner.Runner
	conns    conns.Set[*serverConn]
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
	if sc := connOf(ctx); sc != nil && sc.server == s {
		return sc.shutdownWithin(ctx)
	}
	return s.conns.Shutdown(ctx)
}

// Close closes listeners and connections at once. Calls in flight are cut: their clients get
// ErrClosed and their contexts end. It does not wait for them. Its error is a listener's.
func (s *Server) Close() error { return s.conns.Close() }

// Done returns a channel that is closed when Shutdown or Close has begun. The handler of a call
// that has no end of its own, such as a watch, returns then: Shutdown waits for it. No call begins
// any more then, so a watch that is opened again at once is refused; one that has begun just before
// finds the channel closed.
func (s *Server) Done() <-chan struct{} { return s.conns.Done() }
