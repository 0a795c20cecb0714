package grpcttrpc

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// clientStream is a client's stream as grpc has it.
type clientStream struct {
	call   *call
	desc   ttrpc.StreamDesc
	caller context.Context
	ctx    context.Context // the stream's own, which ends with it
	cancel context.CancelFunc

	// sentLast says that the client sends no more: it belongs to who sends, who is one goroutine.
	sentLast bool

	// opened is closed when the ttrpc stream is there. Where the client does not stream that is with
	// its message, which goes out in the Request.
	opened chan struct{}
	stream ttrpc.ClientStream // written before opened is closed

	mu       sync.Mutex  // guards all below
	unbind   func() bool // ends the watch on the caller's context
	finished bool
	failure  error // a status; nil after an orderly end
}

var _ grpc.ClientStream = (*clientStream)(nil)

// newStream is the opening itself, behind all interceptors.
func (cc *ClientConn) newStream(
	ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s := &clientStream{
		call:   newCall(cc, method, opts),
		caller: ctx,
		desc:   ttrpc.StreamDesc{StreamingClient: desc.ClientStreams, StreamingServer: desc.ServerStreams},
		opened: make(chan struct{}),
	}
	if err := s.start(); err != nil {
		s.call.finish(err)
		return nil, err
	}
	return s, nil
}

// start opens the stream, if the Request has no message to wait for. Its error is a status.
func (s *clientStream) start() error {
	// Opening the stream would notice that, but may come later.
	if err := s.caller.Err(); err != nil {
		return toStatus(err)
	}
	ctx, err := s.call.begin(s.caller)
	if err != nil {
		return err
	}
	s.ctx, s.cancel = context.WithCancel(peer.NewContext(ctx, s.call.conn.peer()))
	if s.desc.StreamingClient {
		if err := s.open(nil); err != nil {
			s.cancel()
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unbind = context.AfterFunc(s.caller, func() { _ = s.finish(toStatus(s.caller.Err())) })
	return nil
}

// open opens the ttrpc stream. Its error is a status.
func (s *clientStream) open(req any) error {
	stream, err := s.call.conn.client.NewStream(s.ctx, &s.desc, s.call.service, s.call.name, req)
	if err != nil {
		return toStatus(err)
	}
	s.stream = stream
	close(s.opened)
	return nil
}

// finish ends the stream, the first time that it is called, and returns the error that counts: that
// of the first time, unless the server has ended the stream before. err is a status, or io.EOF or
// nil for an orderly end.
func (s *clientStream) finish(err error) error {
	s.mu.Lock()
	if s.finished {
		defer s.mu.Unlock()
		if s.failure != nil && err != io.EOF {
			return s.failure
		}
		return err
	}
	s.finished = true
	if err != io.EOF {
		s.failure = err
	}
	failure, unbind := s.failure, s.unbind
	s.mu.Unlock()
	unbind()
	s.cancel()
	s.call.finish(failure)
	return err
}

// SendMsg implements grpc.ClientStream: io.EOF says that the stream is over, and RecvMsg why.
func (s *clientStream) SendMsg(m any) error {
	if s.sentLast {
		return s.finish(status.Error(codes.Internal, "grpcttrpc: SendMsg called after CloseSend"))
	}
	req, err := s.call.encode(m)
	if err != nil {
		return s.finish(err)
	}
	if s.desc.StreamingClient {
		if s.givenUp() {
			return io.EOF
		}
		return s.sent(s.stream.SendMsg(req))
	}
	s.sentLast = true
	if err := s.open(req); err != nil {
		return s.finish(err)
	}
	return nil
}

// sent sorts what ttrpc says of a message: what is wrong with the message ends the stream.
func (s *clientStream) sent(err error) error {
	var large *ttrpc.OversizedMessageErr
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &large) && isEnd(err):
		return io.EOF
	}
	return s.finish(toStatus(err))
}

// isEnd reports whether an error of SendMsg says that the stream is over.
func isEnd(err error) bool {
	for _, end := range []error{
		ttrpc.ErrStreamClosed, ttrpc.ErrClosed, ttrpc.ErrStreamFull, ttrpc.ErrProtocol, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	_, ok := status.FromError(err) // with which it has ended
	return ok
}

// CloseSend implements grpc.ClientStream. It returns nil: RecvMsg tells how the stream ended. A
// stream that this side has given up is not closed: to the server that would be an orderly end.
func (s *clientStream) CloseSend() error {
	switch {
	case s.sentLast || s.givenUp():
	case s.desc.StreamingClient:
		_ = s.stream.CloseSend()
	default:
		_ = s.finish(status.Error(codes.Internal, "grpcttrpc: cardinality violation: no request message was sent"))
	}
	s.sentLast = true
	return nil
}

// givenUp reports whether nothing more may be sent: the context may have ended a moment ago, and
// nobody has noticed it yet.
func (s *clientStream) givenUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finished || s.caller.Err() != nil
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(m any) error {
	if err := s.waitOpen(); err != nil {
		return s.finish(err)
	}
	err := s.stream.RecvMsg(s.call.target(m))
	if err == nil {
		err = s.call.checkReceived(m)
	}
	switch {
	case err != nil:
		return s.finish(toStatus(err))
	case !s.desc.StreamingServer: // that was all
		_ = s.finish(nil)
	}
	return nil
}

// waitOpen waits for the stream's opening, which counts even where the stream is over since.
func (s *clientStream) waitOpen() error {
	select {
	case <-s.opened:
		return nil
	default:
	}
	select {
	case <-s.opened:
		return nil
	case <-s.ctx.Done():
		return toStatus(s.ctx.Err())
	}
}

// Header implements grpc.ClientStream. There is nothing to wait for: it is empty.
func (s *clientStream) Header() (metadata.MD, error) { return metadata.MD{}, nil }

// Trailer implements grpc.ClientStream. It is empty.
func (s *clientStream) Trailer() metadata.MD { return metadata.MD{} }

// Context implements grpc.ClientStream.
func (s *clientStream) Context() context.Context { return s.ctx }
