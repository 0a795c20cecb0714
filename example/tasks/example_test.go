package tasks_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/example/tasks"
)

// service has one of the methods. A call of another would panic: an interface without a value has
// no methods.
type service struct{ tasks.TasksService }

func (service) Create(_ context.Context, req *tasks.CreateRequest) (*tasks.CreateResponse, error) {
	return &tasks.CreateResponse{SpecBytes: uint32(len(req.Spec))}, nil
}

// What protoc-gen-go-ttrpc generates for messages of google.golang.org/protobuf: an interface to
// implement, its registration, and a client.
func ExampleNewTasksClient() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	tasks.RegisterTasksService(server, service{})
	conn, serverEnd := net.Pipe()
	go server.ServeConn(context.Background(), serverEnd)

	client := ttrpc.NewClient(conn)
	defer client.Close()
	created, err := tasks.NewTasksClient(client).Create(context.Background(), &tasks.CreateRequest{Spec: []byte("spec")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.SpecBytes)
	// Output: 4
}
