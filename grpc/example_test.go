package grpcttrpc_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpc's own health service, with its generated stubs, over a unix socket without HTTP/2.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket")

	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	healthpb.RegisterHealthServer(grpcttrpc.NewRegistrar(server), health.NewServer())
	l, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(context.Background(), l)

	client, err := ttrpc.Dial(context.Background(), "unix:"+socket)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stub := healthpb.NewHealthClient(grpcttrpc.NewClientConn(client))

	answer, err := stub.Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(answer.GetStatus(), err)
	_, err = stub.Check(context.Background(), &healthpb.HealthCheckRequest{Service: "other"})
	fmt.Println(status.Code(err) == codes.NotFound)
	// Output:
	// SERVING <nil>
	// true
}

// One registration, one handler, and a server of each kind.
func ExampleRegistrars() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	grpcServer := grpc.NewServer()
	defer grpcServer.Stop()
	registrar := grpcttrpc.NewRegistrar(server)
	healthpb.RegisterHealthServer(grpcttrpc.Registrars{grpcServer, registrar}, health.NewServer())

	fmt.Println(len(grpcServer.GetServiceInfo()), len(registrar.GetServiceInfo()))
	// Output: 1 1
}

// Interceptors of grpc's work on both sides.
func ExampleChainUnaryInterceptor() {
	logs := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		resp, err := handler(ctx, req)
		fmt.Println(info.FullMethod, status.Code(err))
		return resp, err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	healthpb.RegisterHealthServer(grpcttrpc.NewRegistrar(server, grpcttrpc.ChainUnaryInterceptor(logs)), health.NewServer())

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(context.Background(), l)
	client, err := ttrpc.Dial(context.Background(), "tcp:"+l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stub := healthpb.NewHealthClient(grpcttrpc.NewClientConn(client))
	if _, err := stub.Check(context.Background(), &healthpb.HealthCheckRequest{}); err != nil {
		log.Fatal(err)
	}
	// Output: /grpc.health.v1.Health/Check OK
}
