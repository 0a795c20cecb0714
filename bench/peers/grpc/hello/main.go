// Command hello is the smallest gRPC server that serves something.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"

	"github.com/containerd/ttrpc/bench/echo"
)

func main() {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handle}},
	}, struct{}{})
	_, _ = os.Stdout.Write([]byte(".")) // whoever waits for it notices
	log.Fatal(s.Serve(l))
}

func handle(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	req := new(echo.Text)
	if err := decode(req); err != nil {
		return nil, err
	}
	return &echo.Text{Text: req.Text}, nil
}
