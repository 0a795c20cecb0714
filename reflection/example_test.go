//go:build go1.25

package reflection_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/health"
	"github.com/containerd/ttrpc/reflection"
)

// A client that was built without a server's .proto files asks what the server can do.
func Example() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	health.NewServer().Register(server)
	reflection.Register(server)
	client, stop := dial(server)
	defer stop()

	services, err := reflection.ListServices(context.Background(), client)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(services[0])

	set, err := reflection.FileContainingSymbol(context.Background(), client, services[0])
	if err != nil {
		log.Fatal(err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		log.Fatal(err)
	}
	file, err := files.FindFileByPath(set.File[0].GetName())
	if err != nil {
		log.Fatal(err)
	}
	methods := file.Services().Get(0).Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		fmt.Println(m.Name(), m.Input().Name(), m.Output().Name())
	}
	// Output:
	// grpc.health.v1.Health
	// Check HealthCheckRequest HealthCheckResponse
	// List HealthListRequest HealthListResponse
	// Watch HealthCheckRequest HealthCheckResponse
}

// dial starts the server and connects to it.
func dial(server *ttrpc.Server) (client *ttrpc.Client, stop func()) {
	dir, err := os.MkdirTemp("", "reflection")
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
	return client, func() {
		client.Close()
		server.Close()
		os.RemoveAll(dir)
	}
}
