//go:build go1.25

package health_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/health"
)

// A server tells how its services do, and a client asks once, as a readiness probe does.
func Example() {
	client, status, stop := start()
	defer stop()

	status.SetServingStatus("example.Greeter", health.Serving)
	fmt.Println(health.Check(context.Background(), client, "example.Greeter"))

	_, err := health.Check(context.Background(), client, "example.Other")
	fmt.Println(err)
	// Output:
	// SERVING <nil>
	// rpc error: code = NotFound desc = unknown service
}

// start returns a client of a server that has a health service.
func start() (client *ttrpc.Client, status *health.Server, stop func()) {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	status = health.NewServer()
	status.Register(server)

	dir, err := os.MkdirTemp("", "health")
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(context.Background(), l)

	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	client = ttrpc.NewClient(conn)
	return client, status, func() {
		client.Close()
		server.Close()
		os.RemoveAll(dir)
	}
}
