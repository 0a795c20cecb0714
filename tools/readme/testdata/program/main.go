// Command program is a user of the original's v1.2.8: the README shows how it switches.
package main

import (
	"context"
	"fmt"
	"net"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	server.Register("Echo", map[string]ttrpc.Method{
		"Say": func(ctx context.Context, unmarshal func(any) error) (any, error) {
			req := new(wrapperspb.StringValue)
			return req, unmarshal(req)
		},
	})
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		panic(err)
	}
	go server.Serve(context.Background(), l)
	defer server.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	reply := new(wrapperspb.StringValue)
	err = client.Call(context.Background(), "Echo", "Say", wrapperspb.String("hello"), reply)
	fmt.Println(reply.Value, err)
	err = client.Call(context.Background(), "Echo", "Sing", wrapperspb.String("hello"), reply)
	fmt.Println(status.Code(err) == codes.Unimplemented)
}
