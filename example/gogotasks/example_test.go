package gogotasks_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/example/gogotasks"
)

// service has one of the methods. A call of another would panic: an interface without a value has
// no methods.
type service struct{ gogotasks.TasksService }

func (service) Create(_ context.Context, req *gogotasks.CreateRequest) (*gogotasks.CreateResponse, error) {
	return &gogotasks.CreateResponse{SpecBytes: uint32(len(req.Spec))}, nil
}

// What protoc-gen-gogottrpc generates for messages of gogo/protobuf: an interface to
// implement, its registration, and a client.
func ExampleNewTasksClient() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	gogotasks.RegisterTasksService(server, service{})
	conn, serverEnd := net.Pipe()
	go server.ServeConn(context.Background(), serverEnd)

	client := ttrpc.NewClient(conn)
	defer client.Close()
	created, err := gogotasks.NewTasksClient(client).Create(context.Background(), &gogotasks.CreateRequest{Spec: []byte("spec")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.SpecBytes)
	// Output: 4
}
