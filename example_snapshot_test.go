//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc"
)

// A handler asks what its own server is about: there is the call by which it was asked.
func ExampleServer_Snapshot() {
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	// Generated code has a function for this.
	server.Register("debug.Server", map[string]ttrpc.Method{
		"Look": func(_ context.Context, unmarshal func(any) error) (any, error) {
			for _, conn := range server.Snapshot().Conns {
				fmt.Println("connection:", conn.State)
				for _, call := range conn.Calls {
					fmt.Println("call:", call.Method, call.Kind, call.State)
				}
			}
			return new(emptypb.Empty), nil
		},
	})

	conn, peer := net.Pipe()
	go server.ServeConn(context.Background(), conn)
	client := ttrpc.NewClient(peer)
	defer client.Close()
	if err := client.Call(context.Background(), "debug.Server", "Look", new(emptypb.Empty), new(emptypb.Empty)); err != nil {
		panic(err)
	}

	// Output:
	// connection: open
	// call: /debug.Server/Look unary running
}
