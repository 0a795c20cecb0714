package grpcttrpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
)

// TestCancelReachesTheHandler has clients give up calls in each way, and handlers tell what they
// notice. A ttrpc client cancels where it knows its server, which it does after the first answer.
func TestCancelReachesTheHandler(t *testing.T) {
	known := func(w *wire) (context.Context, context.CancelFunc) {
		w.say("%s", outcome(w.conn.Invoke(bg, "/none/None", request(1), request(1))))
		return context.WithCancel(bg)
	}
	unary := func(w *wire, s *service) {
		w.began, w.ended = make(chan struct{}), make(chan struct{})
		s.unary = func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			defer close(w.ended)
			close(w.began)
			<-ctx.Done()
			w.tell("%v", ctx.Err())
			return nil, ctx.Err()
		}
	}
	full := func(w *wire, s *service) {
		w.began, w.ended = make(chan struct{}), make(chan struct{})
		s.full = func(stream fullServer) error {
			defer close(w.ended)
			close(w.began)
			_, err := stream.Recv()
			w.tell("%s", outcome(err))
			w.tell("%v", stream.Context().Err())
			return err
		}
	}
	runScenarios(t, map[string]scenario{
		"unary": {serve: unary, run: func(w *wire) {
			ctx, cancel := known(w)
			go func() { <-w.began; cancel() }()
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
			wait(w, w.ended)
		}},
		"a stream's context": {serve: full, run: func(w *wire) {
			ctx, cancel := known(w)
			stream, err := w.client.FullDuplexCall(ctx)
			check(w, err)
			wait(w, w.began)
			cancel()
			_, err = stream.Recv()
			w.say("%s", outcome(err))
			wait(w, w.ended)
		}},
		"a message that can't be sent": {serve: full, run: func(w *wire) {
			ctx, cancel := known(w)
			defer cancel()
			stream, err := w.client.FullDuplexCall(ctx, grpc.MaxCallSendMsgSize(10))
			check(w, err)
			wait(w, w.began)
			w.say("%s", outcome(stream.Send(asks(100))))
			wait(w, w.ended)
		}},
		"a message that can't be received": {serve: func(w *wire, s *service) {
			w.ended = make(chan struct{})
			s.output = func(_ *grpc_testing.StreamingOutputCallRequest, stream outputServer) error {
				defer close(w.ended)
				err := stream.Send(out(100))
				<-stream.Context().Done()
				w.tell("%s, %v", outcome(err), stream.Context().Err())
				return nil
			}
		}, run: func(w *wire) {
			ctx, cancel := known(w)
			defer cancel()
			stream, err := w.client.StreamingOutputCall(ctx, asks(1), grpc.MaxCallRecvMsgSize(10))
			check(w, err)
			_, err = stream.Recv()
			w.say("%s", outcome(err))
			wait(w, w.ended)
		}},
	})
}
