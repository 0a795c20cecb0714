// Command gogoprogram is a user of the original's v1.1.2, with gogo messages and old pins: the README shows how it switches.
package main

import (
	"context"
	"fmt"
	"net"

	"github.com/containerd/ttrpc"
	"github.com/gogo/protobuf/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func main() {
	server, err := ttrpc.NewServer()
	if err != nil {
		panic(err)
	}
	server.Register("Echo", map[string]ttrpc.Method{
		"Say": func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			req := new(types.StringValue)
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
	reply := new(types.StringValue)
	err = client.Call(context.Background(), "Echo", "Say", &types.StringValue{Value: "hello"}, reply)
	fmt.Println(reply.Value, err)
	err = client.Call(context.Background(), "Echo", "Sing", &types.StringValue{Value: "hello"}, reply)
	fmt.Println(status.Code(err) == codes.Unimplemented)
}
