package ttrpc

import (
	"fmt"
	"unsafe"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/cowmap"
	"github.com/containerd/ttrpc/internal/runner"
	"github.com/containerd/ttrpc/internal/stats"
)

// method is what a call needs to know of its method. It is composed when the method is first seen.
type method struct {
	name   string // full
	unary  Method
	stream StreamHandler // nil for a unary method
	of     identity      // the handler that it was composed of

	streamingClient, streamingServer bool

	runs runner.Method
}

func (m *method) kind() conn.Kind {
	if m.stream == nil {
		return conn.Unary
	}
	return conn.StreamKind(m.streamingClient, m.streamingServer)
}

func (m *method) info() stats.Info {
	return stats.Info{FullMethod: m.name, StreamingClient: m.streamingClient, StreamingServer: m.streamingServer}
}

// service is a registered service. The maps stay the user's, who may add, replace and delete
// methods as long as no call looks one up at the same time:
// a call finds what is in them when it comes.
type service struct {
	config *serverConfig
	name   string
	desc   *ServiceDesc

	composed cowmap.Map[*method]
}

// registry holds the services of a server.
type registry struct{ services cowmap.Map[*service] }

// add registers a service; a second one of its name is a programming error.
func (r *registry) add(svc *service) {
	if !r.services.Add(svc.name, svc) {
		panic(fmt.Errorf("duplicate service %v registered", svc.name))
	}
}

// find looks a method up by names that may alias a frame. The error is the status to answer.
func (r *registry) find(name, methodName []byte) (*method, *status.Status) {
	svc := r.services.Get(name)
	if svc == nil {
		return nil, status.Newf(codes.Unimplemented, "service %s", name)
	}
	if m := svc.find(methodName); m != nil {
		return m, nil
	}
	return nil, status.Newf(codes.Unimplemented, "method %s", methodName)
}

// find returns nil for a method that there is none of.
// Where a method and a stream have one name the method is served.
func (svc *service) find(name []byte) *method {
	handler := svc.desc.Methods[string(name)]
	var stream Stream
	of := identityOf(handler)
	if handler == nil {
		if stream = svc.desc.Streams[string(name)]; stream.Handler == nil {
			return nil
		}
		of = identityOf(stream.Handler)
	}
	m := svc.composed.Get(name)
	if m == nil || m.of != of || m.streamingClient != stream.StreamingClient || m.streamingServer != stream.StreamingServer {
		m = svc.compose(string(name), handler, stream, of)
	}
	return m
}

// compose puts the interceptors around a handler, once.
func (svc *service) compose(name string, handler Method, stream Stream, of identity) *method {
	m := &method{name: fullMethod(svc.name, name), of: of}
	if handler != nil {
		m.unary = handler.intercept(svc.config.unaryInterceptors, m.name)
	} else {
		m.streamingClient, m.streamingServer = stream.StreamingClient, stream.StreamingServer
		m.stream = stream.Handler.intercept(svc.config.streamInterceptors, StreamServerInfo{
			FullMethod: m.name, StreamingClient: m.streamingClient, StreamingServer: m.streamingServer,
		})
	}
	svc.composed.Set(name, m)
	return m
}

// identity tells one function value from another, which Go's == does not do. Whoever keeps one
// keeps the function, too, so that nothing else gets its address.
type identity unsafe.Pointer

// identityOf returns the address of a function value's closure.
func identityOf[F any](f F) identity { return *(*identity)(unsafe.Pointer(&f)) }
