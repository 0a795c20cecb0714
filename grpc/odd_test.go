package grpcttrpc_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// statusOK is an error that says that nothing is wrong.
type statusOK struct{}

func (statusOK) Error() string              { return "all is well" }
func (statusOK) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

func TestOddHandlers(t *testing.T) {
	sum1 := func(w *wire) {
		stream, err := w.client.StreamingInputCall(bg)
		check(w, err)
		m, err := stream.CloseAndRecv()
		w.say("%s %d", outcome(err), m.GetAggregatedPayloadSize())
	}
	runScenarios(t, map[string]scenario{
		"an answer is changed after it is sent": {serve: inputEnds(func(stream inputServer) error {
			m := sum(7)
			defer func() { m.AggregatedPayloadSize = 8 }()
			if err := stream.SendAndClose(m); err != nil {
				return err
			}
			m.AggregatedPayloadSize = 9
			return nil
		}), run: sum1},
		"an answer that is no message": {serve: func(w *wire, s *service) {
			s.input = func(stream inputServer) error {
				w.tell("%s", outcome(stream.SendMsg("text")))
				return nil
			}
		}, run: sum1},
		"an answer that can't be encoded": {serve: func(w *wire, s *service) {
			s.input = func(stream inputServer) error {
				w.tell("%s", outcome(stream.SendMsg(wrapperspb.String("\xff"))))
				return nil
			}
		}, run: sum1},
		"a message of a stream that can't be encoded": {serve: func(w *wire, s *service) {
			s.output = func(_ *grpc_testing.StreamingOutputCallRequest, stream outputServer) error {
				w.tell("%s", outcome(stream.SendMsg(wrapperspb.String("\xff"))))
				return nil
			}
		}, run: func(w *wire) {
			stream, err := w.client.StreamingOutputCall(bg, asks(1))
			check(w, err)
			_, err = stream.Recv()
			w.say("%s", outcome(err))
		}},
		"an error that is OK":             {serve: fails(statusOK{}), run: calls()},
		"an error that is OK of a stream": {serve: sends(1, statusOK{}), run: takesOutput},
		"a reply that can't be encoded": {serve: func(_ *wire, s *service) {
			s.unary = func(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				return &grpc_testing.SimpleResponse{Username: "\xff"}, nil
			}
		}, run: calls()},
		"a request that can't be encoded": {serve: echoes, run: func(w *wire) {
			_, err := w.client.UnaryCall(bg, &grpc_testing.SimpleRequest{ResponseStatus: &grpc_testing.EchoStatus{Message: "\xff"}})
			w.say("%s", outcome(err))
		}},
		"a request of another type": {serve: echoes, run: func(w *wire) {
			err := w.conn.Invoke(bg, grpc_testing.TestService_UnaryCall_FullMethodName, wrapperspb.Bytes([]byte{1, 2, 3, 255}), new(emptypb.Empty))
			w.say("%s", outcome(err))
			err = w.conn.Invoke(bg, grpc_testing.TestService_UnaryCall_FullMethodName,
				&grpc_testing.EchoStatus{Code: 1, Message: "\x08"}, new(emptypb.Empty))
			w.say("%s", outcome(err))
		}},
		"a reply of another type": {serve: echoes, run: func(w *wire) {
			err := w.conn.Invoke(bg, grpc_testing.TestService_UnaryCall_FullMethodName, request(10), new(wrapperspb.StringValue))
			w.say("%s", outcome(err))
		}},
		"a stream's message of another type": {serve: sends(3, nil), run: func(w *wire) {
			stream, err := w.conn.NewStream(bg, &grpc.StreamDesc{ServerStreams: true}, grpc_testing.TestService_StreamingOutputCall_FullMethodName)
			check(w, err)
			check(w, stream.SendMsg(asks(1)))
			check(w, stream.CloseSend())
			w.say("%s", outcome(stream.RecvMsg(new(wrapperspb.StringValue))))
			w.say("%s", outcome(stream.RecvMsg(new(wrapperspb.StringValue))))
			w.say("%s", outcome(stream.RecvMsg(new(wrapperspb.StringValue))))
		}},
		"odd metadata": {serve: func(w *wire, s *service) {
			s.unary = func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				md, _ := metadata.FromIncomingContext(ctx)
				for _, key := range []string{"empty", "space", "many", "b-bin", "long", "comma", "under_score.dot-dash", "authorization"} {
					v := md.Get(key)
					if key == "long" {
						w.tell("%d", len(v[0]))
						continue
					}
					w.tell("%s %q", key, v)
				}
				return echo(ctx, in)
			}
		}, run: func(w *wire) {
			ctx := metadata.NewOutgoingContext(bg, metadata.MD{
				"empty": {""}, "space": {"a  b"}, "many": {"1", "2", "1", ""}, "b-bin": {"\x00,\xff", "", "a,b"},
				"long": {strings.Repeat("x", 100<<10)}, "comma": {"a,b", "c"}, "under_score.dot-dash": {"x"}, "authorization": {"Bearer x"},
			})
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
		}},
		"the deadline passes in a unary handler": {serve: func(w *wire, s *service) {
			w.ended = make(chan struct{})
			s.unary = func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				defer close(w.ended)
				<-ctx.Done()
				w.tell("%v", errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(ctx.Err(), context.Canceled))
				return echo(ctx, in)
			}
		}, run: func(w *wire) {
			ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
			defer cancel()
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
			wait(w, w.ended)
		}},
		"messages are changed after they are sent": {serve: func(w *wire, s *service) {
			s.full = func(stream fullServer) error {
				for {
					m, err := stream.Recv()
					if err == io.EOF {
						return nil
					}
					if err != nil {
						return err
					}
					w.tell("%d", len(m.GetPayload().GetBody()))
					reply := out(len(m.GetPayload().GetBody()))
					if err := stream.Send(reply); err != nil {
						return err
					}
					reply.Payload = nil
				}
			}
		}, run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			m := asks(5)
			for i := range 5 {
				m.Payload.Body = m.Payload.Body[:i]
				w.say("%s", outcome(stream.Send(m)))
				m.Payload.Body = m.Payload.Body[:5]
			}
			check(w, stream.CloseSend())
			takes(w, stream.Recv)
		}},
	})
}

// A service may come while the server runs, which grpc-go refuses.
func TestRegisterLate(t *testing.T) {
	w := &wire{TB: t, name: "ttrpc"}
	overTTRPC(w, new(service))
	w.start()
	client := grpc_testing.NewUnimplementedServiceClient(w.conn)
	_, err := client.UnimplementedCall(bg, new(grpc_testing.Empty))
	w.say("%s", full(err))
	grpc_testing.RegisterUnimplementedServiceServer(w.server, late{})
	_, err = client.UnimplementedCall(bg, new(grpc_testing.Empty))
	w.say("%s", full(err))
	want := []string{`Unimplemented "service grpc.testing.UnimplementedService" [] true`, `Aborted "too late" [] true`}
	if got := w.lines(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

type late struct {
	grpc_testing.UnimplementedUnimplementedServiceServer
}

func (late) UnimplementedCall(context.Context, *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return nil, status.Error(codes.Aborted, "too late")
}
