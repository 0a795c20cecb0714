package google

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emptypb "google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/empty"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/proto2"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/unary"
)

type greeter struct{ unary.GreeterService }

func (greeter) Hello(_ context.Context, req *unary.Request) (*unary.Reply, error) {
	return &unary.Reply{Text: "hello " + req.Name}, nil
}

func (greeter) Nothing(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (greeter) Nested(_ context.Context, req *unary.Request_Nested) (*unary.Request_Nested, error) {
	return &unary.Request_Nested{Count: req.Count + 1}, nil
}

func (greeter) Fail(_ context.Context, req *unary.Request) (*unary.Reply, error) {
	return nil, status.Error(codes.FailedPrecondition, "no "+req.Name)
}

func TestUnary(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) { unary.RegisterGreeterService(s, greeter{}) })
	ctx := limit(t)
	service := unary.NewGreeterClient(client)

	reply, err := service.Hello(ctx, &unary.Request{Name: "you"})
	must(t, err)
	if reply.Text != "hello you" {
		t.Errorf("Hello: %q", reply.Text)
	}
	_, err = service.Nothing(ctx, &emptypb.Empty{})
	must(t, err)
	nested, err := service.Nested(ctx, &unary.Request_Nested{Count: 41})
	must(t, err)
	if nested.Count != 42 {
		t.Errorf("Nested: %d", nested.Count)
	}
	reply, err = service.Fail(ctx, &unary.Request{Name: "way"})
	if reply != nil || status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "no way" {
		t.Errorf("Fail: %v, %v", reply, err)
	}
}

// TestUnserved calls a service that nobody registered.
func TestUnserved(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) {
		unary.RegisterGreeterService(s, greeter{})
		empty.RegisterNothingService(s, nil)
	})
	//lint:ignore SA1019 it is deprecated so that the generators' treatment of that is seen
	_, err := unary.NewGoneClient(client).Hello(limit(t), &unary.Request{})
	if status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if empty.NewNothingClient(client) == nil {
		t.Error("a service without methods has no client")
	}
}

type older struct{}

func (older) Ask(_ context.Context, req *proto2.Request) (*proto2.Request, error) { return req, nil }

func TestProto2(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) { proto2.RegisterOlderService(s, older{}) })
	name := "two"
	reply, err := proto2.NewOlderClient(client).Ask(limit(t), &proto2.Request{Name: &name})
	must(t, err)
	if reply.Name == nil || *reply.Name != name {
		t.Error(reply)
	}
}
