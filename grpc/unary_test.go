package grpcttrpc_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

func request(size int) *grpc_testing.SimpleRequest {
	return &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: make([]byte, size)}}
}

func echo(_ context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Payload: in.Payload}, nil
}

// echoes makes the service one that echoes.
func echoes(_ *wire, s *service) { s.unary = echo }

// fails makes the service one whose unary call fails with errors in turn.
func fails(errs ...error) func(*wire, *service) {
	return func(_ *wire, s *service) {
		s.unary = func(_ context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			return new(grpc_testing.SimpleResponse), errs[in.ResponseSize]
		}
	}
}

// sees makes the service one that logs what its handler sees.
func sees(look func(w *wire, ctx context.Context)) func(*wire, *service) {
	return func(w *wire, s *service) {
		s.unary = func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			look(w, ctx)
			return echo(ctx, in)
		}
	}
}

// calls logs the outcome of one call with some options.
func calls(opts ...grpc.CallOption) func(*wire) {
	return func(w *wire) {
		_, err := w.client.UnaryCall(bg, request(10), opts...)
		w.say("%s", outcome(err))
	}
}

func withDetails() error {
	st, err := status.New(codes.ResourceExhausted, "späť\n☺").WithDetails(durationpb.New(time.Second), new(emptypb.Empty))
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func TestUnary(t *testing.T) {
	handlerErrors := []error{
		withDetails(), errTest, fmt.Errorf("wrapped: %w", status.Error(codes.NotFound, "inside")), io.EOF, io.ErrUnexpectedEOF,
		os.ErrNotExist, context.Canceled, context.DeadlineExceeded, fmt.Errorf("wrapped: %w", context.Canceled),
		status.Error(codes.Canceled, ""), status.Error(codes.Unavailable, "come back"), status.Error(77, "no code"),
	}
	runScenarios(t, map[string]scenario{
		"echo": {serve: echoes, run: func(w *wire) {
			for _, size := range []int{0, 1, 1000, 1 << 20} {
				out, err := w.client.UnaryCall(bg, request(size))
				w.say("%s %d", outcome(err), len(out.GetPayload().GetBody()))
			}
		}},
		"errors of handlers": {serve: fails(handlerErrors...), run: func(w *wire) {
			for i := range handlerErrors {
				_, err := w.client.UnaryCall(bg, &grpc_testing.SimpleRequest{ResponseSize: int32(i)})
				w.say("%s", full(err))
			}
		}},
		"neither message nor error": {serve: func(_ *wire, s *service) {
			s.unary = func(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				return nil, nil
			}
		}, run: func(w *wire) {
			out, err := w.client.UnaryCall(bg, request(1))
			w.say("%s %v", outcome(err), proto.Equal(out, new(grpc_testing.SimpleResponse)))
		}},
		"unknown methods": {serve: echoes, run: func(w *wire) {
			for _, method := range []string{"/grpc.testing.TestService/None", "/none/None", "none", "/", "//"} {
				w.say("%s", outcome(w.conn.Invoke(bg, method, new(emptypb.Empty), new(emptypb.Empty))))
			}
			_, err := w.client.EmptyCall(bg, new(grpc_testing.Empty)) // of the embedded service
			w.say("%s", full(err))
		}},
		"nil for messages": {serve: func(_ *wire, s *service) {
			s.unary = func(_ context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				return nil, status.Error(codes.Aborted, fmt.Sprint(proto.Size(in)))
			}
		}, run: func(w *wire) {
			w.say("%s", full(w.conn.Invoke(bg, grpc_testing.TestService_UnaryCall_FullMethodName, nil, nil)))
		}},
		"no message": {serve: echoes, run: func(w *wire) {
			w.say("%s", outcome(w.conn.Invoke(bg, grpc_testing.TestService_UnaryCall_FullMethodName, "text", new(emptypb.Empty))))
		}},
		"invalid text": {serve: echoes, run: func(w *wire) {
			in := request(1)
			in.ResponseStatus = &grpc_testing.EchoStatus{Message: "\xff"}
			_, err := w.client.UnaryCall(bg, in)
			w.say("%s", outcome(err))
		}},
		"too large a request": {serve: echoes, run: func(w *wire) {
			_, err := w.client.UnaryCall(bg, request(5<<20))
			w.say("%s", outcome(err))
			_, err = w.client.UnaryCall(bg, request(1))
			w.say("%s", outcome(err))
		}},
		"too large an answer": {serve: func(_ *wire, s *service) {
			s.unary = func(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, 5<<20)}}, nil
			}
		}, run: calls()},
	})
}

func TestContexts(t *testing.T) {
	waits := func(w *wire, s *service) {
		s.unary = func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			if _, ok := ctx.Deadline(); !ok {
				w.Error("the handler has no deadline")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	left := make(chan context.Context, 2)
	runScenarios(t, map[string]scenario{
		"deadline": {serve: waits, run: func(w *wire) {
			ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
			defer cancel()
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
		}},
		"expired": {serve: echoes, run: func(w *wire) {
			ctx, cancel := context.WithTimeout(bg, -time.Second)
			defer cancel()
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
			_, err = w.client.FullDuplexCall(ctx)
			w.say("%s", outcome(err))
			_, err = w.client.StreamingOutputCall(ctx, new(grpc_testing.StreamingOutputCallRequest))
			w.say("%s", outcome(err))
		}},
		"cancelled before": {serve: echoes, run: func(w *wire) {
			ctx, cancel := context.WithCancel(bg)
			cancel()
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
			_, err = w.client.FullDuplexCall(ctx)
			w.say("%s", outcome(err))
		}},
		"cancelled in flight": {serve: func(w *wire, s *service) {
			began, done := make(chan struct{}), make(chan struct{})
			s.unary = func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				close(began)
				<-done
				return echo(ctx, in)
			}
			w.Cleanup(func() { close(done) })
			w.began = began
		}, run: func(w *wire) {
			ctx, cancel := context.WithCancel(bg)
			go func() { <-w.began; cancel() }()
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
		}},
		"ends with the handler": {serve: sees(func(w *wire, ctx context.Context) { left <- ctx }), run: func(w *wire) {
			calls()(w)
			wait(w, wait(w, left).Done())
		}},
		"a handler that asks for nothing": {serve: sees(func(w *wire, ctx context.Context) {
			_, ok := ctx.Deadline()
			w.tell("%v %v", ok, ctx.Err())
		}), run: calls()},
		"what a handler finds": {serve: sees(func(w *wire, ctx context.Context) {
			method, ok := grpc.Method(ctx)
			w.tell("%s %v", method, ok)
			p, ok := peer.FromContext(ctx)
			w.tell("%v %s %s %s", ok, p.Addr.Network(), p.LocalAddr.Network(), p.AuthInfo.AuthType())
		}), run: calls()},
	})
}
