package gogo

import (
	"context"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/gogo/names"
)

type upperFoo struct{ names.FooService }

func (upperFoo) Ask(context.Context, *names.Request) (*names.LowReply, error) { return named("Foo") }

type lowerFoo struct{}

func (lowerFoo) Ask(_ context.Context, stream names.Foo__AskServer) (*names.LowReply, error) {
	in, err := stream.Recv()
	return &names.LowReply{Text: "foo " + in.Name}, err
}

// TestFoo: services Foo and foo are one name in Go where it must be exported.
func TestFoo(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) {
		names.RegisterFooService(s, upperFoo{})
		names.Registerfoo_Service(s, lowerFoo{})
	})
	reply, err := names.NewFooClient(client).Ask(limit(t), &names.Request{})
	must(t, err)
	stream, err := names.Newfoo_Client(client).Ask(limit(t))
	must(t, err)
	must(t, stream.Send(&names.Request{Name: "stream"}))
	last, err := stream.CloseAndRecv()
	must(t, err)
	if reply.Text != "Foo" || last.Text != "foo stream" {
		t.Error(reply, last)
	}
}
