package ttrpc

import (
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// method is what a call needs to know of its method: all of it is composed at registration.
type method struct {
	name   string // full
	unary  Method
	stream StreamHandler // nil for a unary method

	streamingClient, streamingServer bool

	speed // see server_inline.go
}

// registry holds the services of a server. Readers take no lock: a registration replaces the map.
type registry struct {
	mu       sync.Mutex // guards the replacing
	services atomic.Pointer[map[string]map[string]*method]
}

// add registers a service; a second one of its name is a programming error.
func (r *registry) add(name string, methods map[string]*method) {
	r.mu.Lock()
	defer r.mu.Unlock()
	services := map[string]map[string]*method{}
	if old := r.services.Load(); old != nil {
		for name, methods := range *old {
			services[name] = methods
		}
	}
	if _, ok := services[name]; ok {
		panic(fmt.Errorf("duplicate service %v registered", name))
	}
	services[name] = methods
	r.services.Store(&services)
}

// find looks a method up by names that may alias a frame. The error is the status to answer.
func (r *registry) find(service, name []byte) (*method, *status.Status) {
	services := r.services.Load()
	if services == nil {
		return nil, status.Newf(codes.Unimplemented, "service %s", service)
	}
	methods, ok := (*services)[string(service)]
	if !ok {
		return nil, status.Newf(codes.Unimplemented, "service %s", service)
	}
	m := methods[string(name)]
	if m == nil {
		return nil, status.Newf(codes.Unimplemented, "method %s", name)
	}
	return m, nil
}

// Register registers the unary methods of a service. It panics when the name is taken. It may be called
// while the server runs.
func (s *Server) Register(name string, methods map[string]Method) {
	s.RegisterService(name, &ServiceDesc{Methods: methods})
}

// RegisterService registers a service. It panics when the name is taken. It may be called while the server
// runs. Where a method and a stream have one name the method is served.
func (s *Server) RegisterService(name string, desc *ServiceDesc) {
	methods := map[string]*method{}
	if desc == nil {
		desc = &ServiceDesc{}
	}
	for key, stream := range desc.Streams {
		if stream.Handler != nil {
			methods[key] = s.streamMethod(fullMethod(name, key), stream)
		}
	}
	for key, handler := range desc.Methods {
		if handler != nil {
			full := fullMethod(name, key)
			methods[key] = &method{name: full, unary: handler.intercept(s.unaryInterceptors, full)}
		}
	}
	s.registry.add(name, methods)
}

func (s *Server) streamMethod(full string, stream Stream) *method {
	info := &StreamServerInfo{
		FullMethod:      full,
		StreamingClient: stream.StreamingClient,
		StreamingServer: stream.StreamingServer,
	}
	return &method{
		name:            full,
		stream:          stream.Handler.intercept(s.streamInterceptors, info),
		streamingClient: stream.StreamingClient,
		streamingServer: stream.StreamingServer,
	}
}
