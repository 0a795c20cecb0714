//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// A program serves the one connection that it has inherited, or that it has dialled itself, and
// ends with it. Where a parent has passed a socket as descriptor 3, net.FileConn(os.NewFile(3, ""))
// returns the connection, and where the socket is the standard input, net.FileConn(os.Stdin) does.
func ExampleServer_ServeConn() {
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	// Generated code has a function for this.
	server.Register("hello.Greeter", map[string]ttrpc.Method{
		"Greet": func(_ context.Context, unmarshal func(any) error) (any, error) {
			name := new(wrapperspb.StringValue)
			if err := unmarshal(name); err != nil {
				return nil, err
			}
			return wrapperspb.String("Hello, " + name.Value + "!"), nil
		},
	})

	conn, peer := net.Pipe()
	go func() {
		client := ttrpc.NewClient(peer)
		defer client.Close()
		reply := new(wrapperspb.StringValue)
		err := client.Call(context.Background(), "hello.Greeter", "Greet", wrapperspb.String("world"), reply)
		fmt.Println(reply.Value, err)
	}()
	err = server.ServeConn(context.Background(), conn)
	fmt.Println("the client has closed the connection:", err)

	// Output:
	// Hello, world! <nil>
	// the client has closed the connection: <nil>
}
