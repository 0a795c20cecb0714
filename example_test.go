//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// The examples have their services by hand, with messages that exist already. Generated code has a
// function RegisterXService and a NewXClient in their place; the folder example of the repository
// shows these.

// newExample makes a server of one service.
func newExample(service *ttrpc.ServiceDesc, opts ...ttrpc.ServerOpt) *ttrpc.Server {
	server, err := ttrpc.NewServer(opts...)
	if err != nil {
		log.Fatal(err)
	}
	server.RegisterService("example.Service", service)
	return server
}

// exampleClient returns a client of a server, over a connection in memory.
func exampleClient(server *ttrpc.Server, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	conn, serverEnd := net.Pipe()
	go server.ServeConn(context.Background(), serverEnd)
	return ttrpc.NewClient(conn, opts...)
}

// echoBack is a unary method.
func echoBack(_ context.Context, unmarshal func(any) error) (any, error) {
	var req wrapperspb.StringValue
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &req, nil
}

// A server and its client, from the listener to the end.
func Example() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	server.Register("example.Echo", map[string]ttrpc.Method{"Echo": echoBack})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(context.Background(), l) }()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	var reply wrapperspb.StringValue
	err = client.Call(context.Background(), "example.Echo", "Echo", wrapperspb.String("hello"), &reply)
	fmt.Println(reply.Value, err)

	fmt.Println(server.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// hello <nil>
	// <nil>
	// ttrpc: server closed
}

// Metadata travels with a call. Keys are found whatever their case was.
func ExampleWithMetadata() {
	server := newExample(&ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Tenant": func(ctx context.Context, _ func(any) error) (any, error) {
			tenant, _ := ttrpc.GetMetadataValue(ctx, "tenant")
			return wrapperspb.String(tenant), nil
		},
	}})
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	ctx := ttrpc.WithMetadata(context.Background(), ttrpc.MD{"Tenant": {"blue"}})
	var reply wrapperspb.StringValue
	err := client.Call(ctx, "example.Service", "Tenant", &wrapperspb.StringValue{}, &reply)
	fmt.Println(reply.Value, err)
	// Output: blue <nil>
}
