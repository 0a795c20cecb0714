package grpcttrpc_test

import (
	"context"
	"io"
	"testing"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
)

var testService = grpc_testing.TestService_ServiceDesc.ServiceName

// counts makes the service one that counts bytes, in each kind of call.
func counts() *service {
	s := &service{unary: echo}
	s.output = func(in *grpc_testing.StreamingOutputCallRequest, stream outputServer) error {
		return stream.Send(out(len(in.Payload.Body)))
	}
	s.input = func(stream inputServer) error {
		total := 0
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				return stream.SendAndClose(sum(int32(total)))
			}
			if err != nil {
				return err
			}
			total += len(m.Payload.Body)
		}
	}
	s.full = func(stream fullServer) error {
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := stream.Send(out(len(m.Payload.Body))); err != nil {
				return err
			}
		}
	}
	return s
}

// TestPlainClient has a ttrpc client that knows nothing of grpc call services of grpc's.
func TestPlainClient(t *testing.T) {
	client := dial(t, serving(t, counts(), nil))
	answer := new(grpc_testing.SimpleResponse)
	check(t, client.Call(bg, testService, "UnaryCall", request(3), answer))
	equal(t, len(answer.Payload.Body), 3)

	message := new(grpc_testing.StreamingOutputCallResponse)
	stream, err := client.NewStream(bg, &ttrpc.StreamDesc{StreamingServer: true}, testService, "StreamingOutputCall", asks(4))
	check(t, err)
	check(t, stream.RecvMsg(message))
	equal(t, len(message.Payload.Body), 4)
	equal(t, stream.RecvMsg(message), io.EOF)

	total := new(grpc_testing.StreamingInputCallResponse)
	stream, err = client.NewStream(bg, &ttrpc.StreamDesc{StreamingClient: true}, testService, "StreamingInputCall", in(5))
	check(t, err)
	check(t, stream.SendMsg(in(6)))
	check(t, stream.CloseSend())
	check(t, stream.RecvMsg(total))
	equal(t, total.AggregatedPayloadSize, 11)

	stream, err = client.NewStream(bg, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, testService, "FullDuplexCall", nil)
	check(t, err)
	check(t, stream.SendMsg(asks(7)))
	check(t, stream.RecvMsg(message))
	equal(t, len(message.Payload.Body), 7)
	check(t, stream.CloseSend())
	equal(t, stream.RecvMsg(message), io.EOF)
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPlainServer has stubs of grpc's call services of ttrpc's, which may return a stream's last
// message.
func TestPlainServer(t *testing.T) {
	server, err := ttrpc.NewServer()
	check(t, err)
	server.RegisterService(testService, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"UnaryCall": func(ctx context.Context, unmarshal func(any) error) (any, error) {
			in := new(grpc_testing.SimpleRequest)
			if err := unmarshal(in); err != nil {
				return nil, err
			}
			return echo(ctx, in)
		}},
		Streams: map[string]ttrpc.Stream{
			"StreamingOutputCall": {StreamingServer: true, Handler: func(_ context.Context, s ttrpc.StreamServer) (any, error) {
				in := new(grpc_testing.StreamingOutputCallRequest)
				if err := s.RecvMsg(in); err != nil {
					return nil, err
				}
				return out(len(in.Payload.Body)), s.SendMsg(out(1))
			}},
			"StreamingInputCall": {StreamingClient: true, Handler: func(_ context.Context, s ttrpc.StreamServer) (any, error) {
				for n := int32(0); ; n++ {
					if err := s.RecvMsg(in(1)); err == io.EOF {
						return sum(n), nil
					} else if err != nil {
						return nil, err
					}
				}
			}},
			"FullDuplexCall": {StreamingClient: true, StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) {
				return nil, io.EOF
			}},
		},
	})
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(bg, l) }()
	t.Cleanup(func() { server.Close(); <-served })
	client := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(dial(t, l)))

	answer, err := client.UnaryCall(bg, request(3))
	check(t, err)
	equal(t, len(answer.Payload.Body), 3)
	output, err := client.StreamingOutputCall(bg, asks(4))
	check(t, err)
	for _, want := range []int{1, 4} {
		m, err := output.Recv()
		check(t, err)
		equal(t, len(m.Payload.Body), want)
	}
	_, err = output.Recv()
	equal(t, outcome(err), "EOF")
	input, err := client.StreamingInputCall(bg)
	check(t, err)
	check(t, input.Send(in(0)))
	check(t, input.Send(in(1)))
	total, err := input.CloseAndRecv()
	check(t, err)
	equal(t, total.AggregatedPayloadSize, 2)
	full, err := client.FullDuplexCall(bg)
	check(t, err)
	_, err = full.Recv()
	equal(t, outcome(err), "OutOfRange") // which ttrpc makes of io.EOF
}
