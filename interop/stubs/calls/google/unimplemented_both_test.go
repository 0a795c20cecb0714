package google

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emptypb "google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/names"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/shadow"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/streams"
)

var (
	_ streams.CalculatorService = streams.UnimplementedCalculatorService{}
	_ shadow.ShadowService      = shadow.UnimplementedShadowService{}
	_ names.FooService          = names.UnimplementedFooService{}
)

// onlyDouble is from when the service had one method.
type onlyDouble struct {
	streams.UnimplementedCalculatorService
}

func (onlyDouble) Double(_ context.Context, in *streams.Item) (*streams.Item, error) {
	return &streams.Item{N: 2 * in.N}, nil
}

// TestUnimplemented calls a method of each kind that a server has by embedding alone.
func TestUnimplemented(t *testing.T) {
	client := streams.NewCalculatorClient(serve(t, func(s *ttrpc.Server) { streams.RegisterCalculatorService(s, onlyDouble{}) }))
	item, err := client.Double(limit(t), &streams.Item{N: 4})
	must(t, err)
	if item.N != 8 {
		t.Error(item)
	}
	total, err := client.Total(limit(t))
	must(t, err)
	_, err = total.CloseAndRecv()
	unimplemented(t, err, "method Total not implemented")
	count, err := client.Count(limit(t), &streams.Item{N: 4})
	must(t, err)
	_, err = count.Recv()
	unimplemented(t, err, "method Count not implemented")
	tick, err := client.Tick(limit(t), &emptypb.Empty{})
	must(t, err)
	_, err = tick.Recv()
	unimplemented(t, err, "method Tick not implemented")
	echo, err := client.Echo(limit(t))
	must(t, err)
	_, err = echo.Recv()
	unimplemented(t, err, "method Echo not implemented")
}

// TestUnimplementedUnary: nothing but the embedded type.
func TestUnimplementedUnary(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) { streams.RegisterOnlyUnaryService(s, streams.UnimplementedOnlyUnaryService{}) })
	_, err := streams.NewOnlyUnaryClient(client).Double(limit(t), &streams.Item{})
	unimplemented(t, err, "method Double not implemented")
}

func unimplemented(t *testing.T, err error, text string) {
	t.Helper()
	if s, ok := status.FromError(err); !ok || s.Code() != codes.Unimplemented || s.Message() != text {
		t.Errorf("%v, want %s", err, text)
	}
}
