package grpcttrpc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// serverStream is a handler's stream as grpc has it.
type serverStream struct {
	*transportStream
	ctx    context.Context
	cancel context.CancelFunc // ends ctx
	stream ttrpc.StreamServer
	desc   *grpc.StreamDesc

	mu      sync.Mutex // guards all below
	answer  *encoded   // of a server that does not stream: it goes out with the handler's return
	refused error      // of SetTrailer: it is the call's status where the handler has none
	failure error      // of the first SendMsg or RecvMsg that failed: it is the call's status
}

var _ grpc.ServerStream = (*serverStream)(nil)

// streamHandler makes a stream handler of ttrpc's of one of grpc's, interceptors included.
func (r *Registrar) streamHandler(name string, desc grpc.StreamDesc, impl any) ttrpc.StreamHandler {
	info := &grpc.StreamServerInfo{FullMethod: name, IsClientStream: desc.ClientStreams, IsServerStream: desc.ServerStreams}
	handler := chainStream(r.stream, info, desc.Handler)
	return func(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
		ctx, cancel, err := r.context(ctx, name)
		if err != nil {
			return nil, err
		}
		defer cancel()
		t := &transportStream{name, r.discard}
		s := &serverStream{transportStream: t, ctx: ctx, cancel: cancel, stream: stream, desc: &desc}
		return s.result(handler(impl, s))
	}
}

// chainStream puts interceptors around a handler, the first outermost.
func chainStream(chain []grpc.StreamServerInterceptor, info *grpc.StreamServerInfo, handler grpc.StreamHandler) grpc.StreamHandler {
	for i := len(chain) - 1; i >= 0; i-- {
		outer, next := chain[i], handler
		handler = func(impl any, s grpc.ServerStream) error { return outer(impl, s, info, next) }
	}
	return handler
}

// result is what ttrpc answers when the handler has returned.
func (s *serverStream) result(err error) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failure != nil:
		return nil, s.failure
	case err != nil && status.Code(err) != codes.OK: // an error that says OK is none to grpc-go, too
		return nil, handlerError(err)
	case s.refused != nil:
		return nil, s.refused
	case !s.desc.ServerStreams && s.answer == nil:
		return nil, status.Error(codes.Internal, "grpcttrpc: cardinality violation: the handler has sent no response message")
	}
	if s.answer == nil { // an *encoded that is nil would be an answer
		return nil, nil
	}
	return s.answer, nil
}

// SendMsg implements grpc.ServerStream.
func (s *serverStream) SendMsg(m any) error {
	if s.desc.ServerStreams {
		return s.failed(s.stream.SendMsg(m))
	}
	answer, err := encodeAnswer(m)
	if err != nil {
		return s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		if s.failure == nil {
			s.failure = status.Error(codes.Internal, "grpcttrpc: cardinality violation: the handler has sent more than one response message")
		}
		return s.failure
	}
	s.answer = answer
	return nil
}

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(m any) error { return s.failed(s.stream.RecvMsg(m)) }

// failed makes a status of what ttrpc says, and remembers the first. The call is over then, and its
// context tells the handler's other goroutines.
func (s *serverStream) failed(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	err = s.toStatus(err)
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
	}
	return err
}

// toStatus says of a connection that is gone what grpc-go says: the call was cancelled.
func (s *serverStream) toStatus(err error) error {
	if errors.Is(err, ttrpc.ErrClosed) {
		return &statusError{st: status.New(codes.Canceled, err.Error()), cause: err}
	}
	return toStatus(err)
}

// SetTrailer implements grpc.ServerStream, whose method has no result: the call fails in its place.
func (s *serverStream) SetTrailer(md metadata.MD) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = cmp.Or(s.refused, s.refuse(md))
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }
