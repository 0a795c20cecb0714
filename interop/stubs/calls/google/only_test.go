package google

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/editions"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/mapped"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/names"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/optional"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/prefixed"
	"github.com/containerd/ttrpc/interop/stubs/gen/go/unary"
)

// What gogo's generator can't take, or spells differently.

type presence struct{}

func (presence) Has(_ context.Context, req *optional.Request) (*optional.Request, error) {
	return req, nil
}

func TestProto3Optional(t *testing.T) {
	client := optional.NewPresenceClient(serve(t, func(s *ttrpc.Server) { optional.RegisterPresenceService(s, presence{}) }))
	set, err := client.Has(limit(t), &optional.Request{Name: proto.String("")})
	must(t, err)
	unset, err := client.Has(limit(t), &optional.Request{})
	must(t, err)
	if set.Name == nil || unset.Name != nil {
		t.Error(set, unset)
	}
}

type edition struct{}

func (edition) Ask(_ context.Context, req *editions.Request) (*editions.Request, error) {
	return req, nil
}

func (edition) Watch(_ context.Context, req *editions.Request, stream editions.Edition_WatchServer) error {
	return stream.Send(req)
}

func TestEditions(t *testing.T) {
	client := editions.NewEditionClient(serve(t, func(s *ttrpc.Server) { editions.RegisterEditionService(s, edition{}) }))
	reply, err := client.Ask(limit(t), &editions.Request{Name: "2023"})
	must(t, err)
	watch, err := client.Watch(limit(t), reply)
	must(t, err)
	reply, err = watch.Recv()
	must(t, err)
	if reply.Name != "2023" {
		t.Error(reply)
	}
}

type mappedService struct{}

func (mappedService) Hello(_ context.Context, req *unary.Request) (*unary.Reply, error) {
	return &unary.Reply{Text: req.Name}, nil
}

func TestMapped(t *testing.T) {
	client := mapped.NewMappedClient(serve(t, func(s *ttrpc.Server) { mapped.RegisterMappedService(s, mappedService{}) }))
	reply, err := client.Hello(limit(t), &unary.Request{Name: "mapped"})
	must(t, err)
	if reply.Text != "mapped" {
		t.Error(reply)
	}
}

type counter struct{}

func (counter) Count(_ context.Context, req *prefixed.Item, stream prefixed.TTRPCStreamer_CountServer) error {
	return stream.Send(req)
}

func TestPrefixed(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) { prefixed.RegisterTTRPCStreamerService(s, counter{}) })
	streamer := prefixed.NewTTRPCStreamerClient(client)
	stream, err := streamer.Count(limit(t), &prefixed.Item{N: 7})
	must(t, err)
	item, err := stream.Recv()
	must(t, err)
	if item.N != 7 {
		t.Error(item)
	}
	var _ prefixed.TTRPCGreeterService = prefixed.NewTTRPCGreeterClient(client)
}

type lowerFoo struct{}

func (lowerFoo) Ask(_ context.Context, stream names.Foo__AskServer) (*names.LowReply, error) {
	in, err := stream.Recv()
	return &names.LowReply{Text: "foo " + in.GetName()}, err
}

type upperFoo struct{ names.UnimplementedFooService }

var _ names.Foo_Service = names.UnimplementedFoo_Service{}

func (upperFoo) Ask(context.Context, *names.Request) (*names.LowReply, error) { return named("Foo") }

// TestFoo: services Foo and foo are one name in Go.
func TestFoo(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) {
		names.RegisterFooService(s, upperFoo{})
		names.RegisterFoo_Service(s, lowerFoo{})
	})
	reply, err := names.NewFooClient(client).Ask(limit(t), &names.Request{})
	must(t, err)
	stream, err := names.NewFoo_Client(client).Ask(limit(t))
	must(t, err)
	must(t, stream.Send(&names.Request{Name: "stream"}))
	last, err := stream.CloseAndRecv()
	must(t, err)
	if reply.Text != "Foo" || last.Text != "foo stream" {
		t.Error(reply, last)
	}
}
