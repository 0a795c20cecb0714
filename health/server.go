package health

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/healthpb"
)

// serviceName is the name of the service in its .proto file.
const serviceName = "grpc.health.v1.Health"

// maxListed is how many services List answers with, as in grpc-go.
const maxListed = 100

// Server tells the health of services. Its methods are safe for concurrent use, and none waits for
// a client. It is made by [NewServer].
type Server struct {
	mu       sync.Mutex // guards all below
	shutdown bool       // statuses do not change
	statuses map[string]ServingStatus
	watches  map[string]map[*watch]struct{} // by service; none of them is empty
}

// watch is one call of Watch. A wake-up says no more than that it has to look at the status: so a
// slow client misses some, and gets the latest.
type watch struct {
	service string
	changed chan struct{} // capacity 1
}

// NewServer returns a server that says of "", which stands for the whole program, that it is
// Serving, and knows of no other service.
func NewServer() *Server {
	return &Server{
		statuses: map[string]ServingStatus{"": Serving},
		watches:  map[string]map[*watch]struct{}{},
	}
}

// Register adds the service grpc.health.v1.Health to t. It panics when t has it already. One Server
// may be registered with several. When t is shut down, its watches get NotServing as their last
// status and end with the code Unavailable, so that t.Shutdown does not wait for their clients.
func (s *Server) Register(t *ttrpc.Server) {
	t.RegisterService(serviceName, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"Check": s.check, "List": s.list},
		Streams: map[string]ttrpc.Stream{"Watch": {
			Handler: func(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
				return nil, s.watch(ctx, t.Done(), stream)
			},
			StreamingServer: true,
		}},
	})
}

// SetServingStatus sets the status of a service, which need not be one that is registered. Watches
// of the service are told. After Shutdown and until Resume it does nothing.
func (s *Server) SetServingStatus(service string, status ServingStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shutdown {
		s.setLocked(service, status)
	}
}

// Shutdown sets all services that have a status to NotServing, and has SetServingStatus do nothing
// from then on. Call it some time before the ttrpc server's Shutdown, so that clients move on.
// Watches go on, since Resume may follow.
func (s *Server) Shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown = true
	s.setAllLocked(NotServing)
}

// Resume sets all services that have a status to Serving, and has SetServingStatus work again.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown = false
	s.setAllLocked(Serving)
}

func (s *Server) setAllLocked(status ServingStatus) {
	for service := range s.statuses {
		s.setLocked(service, status)
	}
}

func (s *Server) setLocked(service string, status ServingStatus) {
	s.statuses[service] = status
	for w := range s.watches[service] {
		select {
		case w.changed <- struct{}{}:
		default: // it has not looked since the last change
		}
	}
}

func (s *Server) status(service string) (ServingStatus, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, ok := s.statuses[service]
	return status, ok
}

func (s *Server) check(_ context.Context, unmarshal func(any) error) (any, error) {
	var req healthpb.Request
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	st, ok := s.status(req.Service)
	if !ok {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthpb.Response{Status: int32(st)}, nil
}

func (s *Server) list(_ context.Context, unmarshal func(any) error) (any, error) {
	if err := unmarshal(new(healthpb.ListRequest)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.statuses) > maxListed {
		return nil, status.Errorf(codes.ResourceExhausted, "server health list exceeds maximum capacity: %d", maxListed)
	}
	resp := &healthpb.ListResponse{Statuses: make(map[string]int32, len(s.statuses))}
	for service, st := range s.statuses {
		resp.Statuses[service] = int32(st)
	}
	return resp, nil
}

// watch sends the status and its changes until ctx or the server ends.
func (s *Server) watch(ctx context.Context, done <-chan struct{}, stream ttrpc.StreamServer) error {
	var req healthpb.Request
	if err := stream.RecvMsg(&req); err != nil {
		return err
	}
	w := s.startWatch(req.Service)
	defer s.endWatch(w)
	last := ServingStatus(-1) // none was sent
	for {
		now, ok := s.status(w.service)
		if !ok {
			now = ServiceUnknown
		}
		if err := sendChange(stream, &last, now); err != nil {
			return err
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			if err := sendChange(stream, &last, NotServing); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "health: the server is shutting down")
		}
	}
}

// sendChange sends a status unless it is the one that was sent last.
func sendChange(stream ttrpc.StreamServer, last *ServingStatus, now ServingStatus) error {
	if now == *last {
		return nil
	}
	*last = now
	return stream.SendMsg(&healthpb.Response{Status: int32(now)})
}

func (s *Server) startWatch(service string) *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &watch{service: service, changed: make(chan struct{}, 1)}
	if s.watches[service] == nil {
		s.watches[service] = map[*watch]struct{}{}
	}
	s.watches[service][w] = struct{}{}
	return w
}

func (s *Server) endWatch(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.watches[w.service], w); len(s.watches[w.service]) == 0 {
		delete(s.watches, w.service)
	}
}
