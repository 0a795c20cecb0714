package grpcttrpc

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Registrar registers services that were written for grpc-go with a [ttrpc.Server]. It is a
// grpc.ServiceRegistrar, and grpc's reflection takes it for a server. Its methods are safe for
// concurrent use, and services may be registered while the Server runs.
type Registrar struct {
	server  *ttrpc.Server
	unary   []grpc.UnaryServerInterceptor
	stream  []grpc.StreamServerInterceptor
	discard bool

	mu       sync.Mutex // guards services
	services map[string]grpc.ServiceInfo
}

var _ grpc.ServiceRegistrar = (*Registrar)(nil)

// ServerOption configures a Registrar.
type ServerOption func(*Registrar)

// NewRegistrar returns a Registrar of services for server. It panics when server is nil.
func NewRegistrar(server *ttrpc.Server, opts ...ServerOption) *Registrar {
	if server == nil {
		panic("grpcttrpc: NewRegistrar was given a nil server")
	}
	r := &Registrar{server: server, services: map[string]grpc.ServiceInfo{}}
	for _, opt := range opts {
		opt(r)
	}
	return r
}

// ChainUnaryInterceptor adds interceptors of unary calls, the first outermost, inside of those that
// options before this one add. Interceptors of the ttrpc.Server run outside of all of them.
func ChainUnaryInterceptor(interceptors ...grpc.UnaryServerInterceptor) ServerOption {
	return func(r *Registrar) { r.unary = append(r.unary, interceptors...) }
}

// ChainStreamInterceptor adds interceptors of streams, as [ChainUnaryInterceptor] does for unary
// calls.
func ChainStreamInterceptor(interceptors ...grpc.StreamServerInterceptor) ServerOption {
	return func(r *Registrar) { r.stream = append(r.stream, interceptors...) }
}

// DiscardResponseMetadata has grpc.SetHeader, grpc.SendHeader, grpc.SetTrailer and the stream's
// methods of these names do nothing and return nil, for services that fail with an error of theirs.
// By default it is [ErrNoResponseMetadata], and the status of a call whose handler has used the
// stream's SetTrailer, which returns none.
func DiscardResponseMetadata() ServerOption {
	return func(r *Registrar) { r.discard = true }
}

// RegisterService registers a service: generated code calls it. It panics when the name is taken,
// and when impl does not implement the service.
func (r *Registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if impl != nil {
		if want := reflect.TypeOf(desc.HandlerType).Elem(); !reflect.TypeOf(impl).Implements(want) {
			panic(fmt.Sprintf("grpcttrpc: %T can't be registered as %s: it does not implement %v", impl, desc.ServiceName, want))
		}
	}
	service := &ttrpc.ServiceDesc{
		Methods: make(map[string]ttrpc.Method, len(desc.Methods)),
		Streams: make(map[string]ttrpc.Stream, len(desc.Streams)),
	}
	for _, m := range desc.Methods {
		service.Methods[m.MethodName] = r.method("/"+desc.ServiceName+"/"+m.MethodName, m.Handler, impl)
	}
	for _, s := range desc.Streams {
		service.Streams[s.StreamName] = ttrpc.Stream{
			Handler:         r.streamHandler("/"+desc.ServiceName+"/"+s.StreamName, s, impl),
			StreamingClient: s.ClientStreams,
			StreamingServer: s.ServerStreams,
		}
	}
	r.server.RegisterService(desc.ServiceName, service)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.services[desc.ServiceName] = infoOf(desc)
}

// GetServiceInfo describes the services that were registered here, by name, as that of a
// grpc.Server does. The map is the caller's.
func (r *Registrar) GetServiceInfo() map[string]grpc.ServiceInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	services := make(map[string]grpc.ServiceInfo, len(r.services))
	for name, info := range r.services {
		services[name] = info
	}
	return services
}

func infoOf(desc *grpc.ServiceDesc) grpc.ServiceInfo {
	info := grpc.ServiceInfo{Metadata: desc.Metadata}
	for _, m := range desc.Methods {
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
	}
	for _, s := range desc.Streams {
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: s.StreamName, IsClientStream: s.ClientStreams, IsServerStream: s.ServerStreams})
	}
	return info
}

// Registrars registers each service with all of them, such as a *grpc.Server and a [Registrar]: one
// registration, one handler, several servers.
type Registrars []grpc.ServiceRegistrar

// RegisterService implements grpc.ServiceRegistrar.
func (rs Registrars) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, r := range rs {
		r.RegisterService(desc, impl)
	}
}

// method makes a method of ttrpc's of a unary handler, interceptors included.
func (r *Registrar) method(name string, handler grpc.MethodHandler, impl any) ttrpc.Method {
	interceptor := chainUnary(r.unary)
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		ctx, cancel, err := r.context(ctx, name)
		if err != nil {
			return nil, err
		}
		defer cancel()
		resp, err := handler(impl, ctx, unmarshal, interceptor)
		if err == nil && isNil(resp) { // which grpc sends as a message of no bytes
			resp = new(emptypb.Empty)
		}
		return resp, handlerError(err)
	}
}

// context makes of a context of ttrpc's what a handler for grpc gets. It ends with the handler. The
// metadata that came is grpc's incoming then, and no longer ttrpc's, whose clients would send it on
// with every call that the handler makes.
func (r *Registrar) context(parent context.Context, method string) (context.Context, context.CancelFunc, error) {
	md, err := incoming(parent)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ttrpc.WithMetadata(parent, nil))
	ctx = metadata.NewIncomingContext(ctx, md)
	ctx = peer.NewContext(ctx, servedPeer(parent))
	return grpc.NewContextWithServerTransportStream(ctx, &transportStream{method, r.discard}), cancel, nil
}

// chainUnary makes one interceptor of several, nil of none.
func chainUnary(chain []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	switch len(chain) {
	case 0:
		return nil
	case 1:
		return chain[0]
	}
	outer, rest := chain[0], chainUnary(chain[1:])
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return outer(ctx, req, info, func(ctx context.Context, req any) (any, error) {
			return rest(ctx, req, info, handler)
		})
	}
}

func isNil(m any) bool {
	if m == nil {
		return true
	}
	v := reflect.ValueOf(m)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// transportStream is what grpc's functions find in a handler's context.
type transportStream struct {
	method  string // full
	discard bool
}

// Method implements grpc.ServerTransportStream.
func (t *transportStream) Method() string { return t.method }

// SetHeader implements grpc.ServerTransportStream.
func (t *transportStream) SetHeader(md metadata.MD) error { return t.refuse(md) }

// SendHeader implements grpc.ServerTransportStream.
func (t *transportStream) SendHeader(md metadata.MD) error { return t.refuse(md) }

// SetTrailer implements grpc.ServerTransportStream.
func (t *transportStream) SetTrailer(md metadata.MD) error { return t.refuse(md) }

// refuse is for metadata that can't be sent. Of none nothing is lost: to send empty headers is a
// way to say that the call has begun.
func (t *transportStream) refuse(md metadata.MD) error {
	if t.discard || md.Len() == 0 {
		return nil
	}
	return ErrNoResponseMetadata
}
