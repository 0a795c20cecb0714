package services

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// overTTRPC starts a server that register has registered services with, and returns a client.
func overTTRPC(t *testing.T, register func(s *ttrpc.Server)) *ttrpc.Client {
	t.Helper()
	s, err := ttrpc.NewServer()
	check(t, err)
	register(s)
	l := pipe.Listen()
	go s.Serve(context.Background(), l)
	t.Cleanup(func() { s.Close() })
	conn, err := l.Dial(pipe.Options{}, pipe.Options{})
	check(t, err)
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { client.Close() })
	return client
}

// overGRPC does the same with grpc-go.
func overGRPC(t *testing.T, register func(s *grpc.Server)) *grpc.ClientConn {
	t.Helper()
	s := grpc.NewServer()
	register(s)
	l := bufconn.Listen(64 << 10)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	client, err := grpc.NewClient("passthrough:bufconn",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}
