package google

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emptypb "google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/streams"
)

type calculator struct{}

func (calculator) Double(_ context.Context, req *streams.Item) (*streams.Item, error) {
	return &streams.Item{N: 2 * req.N}, nil
}

func (calculator) Total(_ context.Context, stream streams.Calculator_TotalServer) (*streams.Sum, error) {
	sum := new(streams.Sum)
	for {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return nil, err
		}
		sum.Total += item.N
	}
}

func (calculator) Count(_ context.Context, req *streams.Item, stream streams.Calculator_CountServer) error {
	for n := int64(1); n <= req.N; n++ {
		if err := stream.Send(&streams.Item{N: n}); err != nil {
			return err
		}
	}
	return nil
}

func (calculator) Echo(_ context.Context, stream streams.Calculator_EchoServer) error {
	for {
		item, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(item); err != nil {
			return err
		}
	}
}

func (calculator) Drain(_ context.Context, stream streams.Calculator_DrainServer) (*emptypb.Empty, error) {
	for n := 0; ; n++ {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			if n != 3 {
				return nil, status.Errorf(codes.OutOfRange, "%d messages, want 3", n)
			}
			return &emptypb.Empty{}, nil
		} else if err != nil {
			return nil, err
		}
	}
}

func (calculator) Tick(_ context.Context, _ *emptypb.Empty, stream streams.Calculator_TickServer) error {
	return errors.Join(stream.Send(&emptypb.Empty{}), stream.Send(&emptypb.Empty{}))
}

func (calculator) Fail(_ context.Context, req *streams.Item, stream streams.Calculator_FailServer) error {
	if err := stream.Send(req); err != nil {
		return err
	}
	return status.Error(codes.Aborted, "enough")
}

func calculate(t *testing.T) (context.Context, streams.CalculatorClient) {
	t.Helper()
	client := serve(t, func(s *ttrpc.Server) { streams.RegisterCalculatorService(s, calculator{}) })
	return limit(t), streams.NewCalculatorClient(client)
}

func TestUnaryBesideStreams(t *testing.T) {
	ctx, client := calculate(t)
	item, err := client.Double(ctx, &streams.Item{N: 21})
	must(t, err)
	if item.N != 42 {
		t.Error(item)
	}
}

func TestClientStream(t *testing.T) {
	ctx, client := calculate(t)
	stream, err := client.Total(ctx)
	must(t, err)
	for n := int64(1); n <= 10; n++ {
		must(t, stream.Send(&streams.Item{N: n}))
	}
	sum, err := stream.CloseAndRecv()
	must(t, err)
	if sum.Total != 55 {
		t.Error(sum)
	}
}

func TestServerStream(t *testing.T) {
	ctx, client := calculate(t)
	stream, err := client.Count(ctx, &streams.Item{N: 5})
	must(t, err)
	for n := int64(1); n <= 5; n++ {
		item, err := stream.Recv()
		must(t, err)
		if item.N != n {
			t.Errorf("%d, want %d", item.N, n)
		}
	}
	if item, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v after the last message", item, err)
	}
}

func TestBothWays(t *testing.T) {
	ctx, client := calculate(t)
	stream, err := client.Echo(ctx)
	must(t, err)
	for n := int64(1); n <= 5; n++ {
		must(t, stream.Send(&streams.Item{N: n}))
		item, err := stream.Recv()
		must(t, err)
		if item.N != n {
			t.Errorf("%d, want %d", item.N, n)
		}
	}
	must(t, stream.CloseSend())
	if item, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v after the end", item, err)
	}
}

func TestEmptyMessages(t *testing.T) {
	ctx, client := calculate(t)
	drain, err := client.Drain(ctx)
	must(t, err)
	for range 3 {
		must(t, drain.Send(&emptypb.Empty{}))
	}
	_, err = drain.CloseAndRecv()
	must(t, err)

	tick, err := client.Tick(ctx, &emptypb.Empty{})
	must(t, err)
	for range 2 {
		_, err = tick.Recv()
		must(t, err)
	}
	if _, err := tick.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestStreamFails(t *testing.T) {
	ctx, client := calculate(t)
	stream, err := client.Fail(ctx, &streams.Item{N: 1})
	must(t, err)
	_, err = stream.Recv()
	must(t, err)
	if _, err := stream.Recv(); status.Code(err) != codes.Aborted {
		t.Error(err)
	}
}
