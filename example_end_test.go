//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// Shutdown waits for calls in flight. Those without an end of their own, such as a watch, learn of
// it by Done.
func ExampleServer_Shutdown() {
	server, err := ttrpc.NewServer()
	if err != nil {
		log.Fatal(err)
	}
	server.RegisterService("example.Watcher", &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"Watch": {
		StreamingServer: true,
		Handler: func(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
			if err := stream.SendMsg(wrapperspb.String("all is well")); err != nil {
				return nil, err
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-server.Done():
				return nil, status.Error(codes.Unavailable, "watch again")
			}
		},
	}}})
	client := exampleClient(server)
	defer client.Close()

	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true},
		"example.Watcher", "Watch", &wrapperspb.StringValue{})
	if err != nil {
		log.Fatal(err)
	}
	var event wrapperspb.StringValue
	fmt.Println(stream.RecvMsg(&event), event.Value)
	fmt.Println(server.Shutdown(context.Background()))
	fmt.Println(stream.RecvMsg(&event))
	// Output:
	// <nil> all is well
	// <nil>
	// rpc error: code = Unavailable desc = watch again
}

// A call that is given up returns at once. Where both sides know the protocol's extensions, as
// those of this package do by default, its handler's context ends as well.
func ExampleClient_Call_cancel() {
	began, ended := make(chan bool), make(chan error)
	server := newExample(&ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Echo": echoBack,
		"Wait": func(ctx context.Context, _ func(any) error) (any, error) {
			close(began)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		},
	}})
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	// The server's first answer says what it knows.
	if err := client.Call(context.Background(), "example.Service", "Echo",
		&wrapperspb.StringValue{}, &wrapperspb.StringValue{}); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-began
		cancel()
	}()
	err := client.Call(ctx, "example.Service", "Wait", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
	fmt.Println("client:", err)
	fmt.Println("handler:", <-ended)
	// Output:
	// client: context canceled
	// handler: context canceled
}

// What handlers return, and what arrives. A status travels with its details.
func ExampleMethod() {
	returns := func(err error) ttrpc.Method {
		return func(context.Context, func(any) error) (any, error) { return nil, err }
	}
	busy, err := status.New(codes.ResourceExhausted, "busy").WithDetails(durationpb.New(1e9))
	if err != nil {
		log.Fatal(err)
	}
	server := newExample(&ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Status":  returns(busy.Err()),
		"Own":     returns(errors.New("the disk is full")),
		"File":    returns(fs.ErrNotExist),
		"Nothing": returns(nil),
	}})
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	for _, method := range []string{"Status", "Own", "File", "Nothing"} {
		err := client.Call(context.Background(), "example.Service", method,
			&wrapperspb.StringValue{}, &wrapperspb.StringValue{})
		st := status.Convert(err)
		fmt.Printf("%s: %.30q, %d details\n", st.Code(), st.Message(), len(st.Details()))
	}
	// Output:
	// ResourceExhausted: "busy", 1 details
	// Unknown: "the disk is full", 0 details
	// NotFound: "file does not exist", 0 details
	// Unknown: "ttrpc: marshal called with nil", 0 details
}

// Each error of a call amounts to a status, also those that no server has sent.
func ExampleStatusOf() {
	server := newExample(&ttrpc.ServiceDesc{})
	client := exampleClient(server)
	call := func(ctx context.Context) error {
		return client.Call(ctx, "example.Service", "Echo", &wrapperspb.StringValue{}, &wrapperspb.StringValue{})
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(ttrpc.StatusOf(call(context.Background())).Code())
	fmt.Println(ttrpc.StatusOf(call(cancelled)).Code())
	server.Close()
	client.Close()
	fmt.Println(ttrpc.StatusOf(call(context.Background())).Code())
	// Output:
	// Unimplemented
	// Canceled
	// Unavailable
}
