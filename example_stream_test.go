//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// The server sends a stream of messages.
func ExampleClient_NewStream() {
	server := newExample(&ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"Count": {
		StreamingServer: true,
		Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
			var to wrapperspb.Int32Value
			if err := stream.RecvMsg(&to); err != nil { // the request
				return nil, err
			}
			for i := range to.Value {
				if err := stream.SendMsg(wrapperspb.Int32(i)); err != nil {
					return nil, err
				}
			}
			return nil, nil // the end of the stream
		},
	}}})
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true},
		"example.Service", "Count", wrapperspb.Int32(3))
	if err != nil {
		log.Fatal(err)
	}
	for {
		var n wrapperspb.Int32Value
		err := stream.RecvMsg(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n.Value)
	}
	// Output:
	// 0
	// 1
	// 2
}

// The client sends a stream of messages, and the server answers with one.
func ExampleClient_NewStream_clientStreams() {
	server := newExample(&ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"Sum": {
		StreamingClient: true,
		Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
			for sum := int32(0); ; {
				var n wrapperspb.Int32Value
				err := stream.RecvMsg(&n)
				if errors.Is(err, io.EOF) { // the client has closed its half
					return wrapperspb.Int32(sum), nil
				}
				if err != nil {
					return nil, err
				}
				sum += n.Value
			}
		},
	}}})
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true},
		"example.Service", "Sum", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range []int32{1, 2, 3} {
		if stream.SendMsg(wrapperspb.Int32(n)) != nil {
			break // the server has ended the stream: RecvMsg says why
		}
	}
	if err := stream.CloseSend(); err != nil {
		log.Fatal(err)
	}
	var sum wrapperspb.Int32Value
	err = stream.RecvMsg(&sum)
	fmt.Println(sum.Value, err)
	// Output: 6 <nil>
}

// Both sides send streams, each at its own pace.
func ExampleClient_NewStream_bothStream() {
	server := newExample(&ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"Chat": {
		StreamingClient: true, StreamingServer: true,
		Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
			for {
				var line wrapperspb.StringValue
				err := stream.RecvMsg(&line)
				if errors.Is(err, io.EOF) {
					return nil, nil
				}
				if err == nil {
					err = stream.SendMsg(wrapperspb.String("you say " + line.Value))
				}
				if err != nil {
					return nil, err
				}
			}
		},
	}}})
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	stream, err := client.NewStream(context.Background(),
		&ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, "example.Service", "Chat", nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range []string{"hello", "goodbye"} {
		var reply wrapperspb.StringValue
		if err := errors.Join(stream.SendMsg(wrapperspb.String(line)), stream.RecvMsg(&reply)); err != nil {
			log.Fatal(err)
		}
		fmt.Println(reply.Value)
	}
	fmt.Println(stream.CloseSend(), stream.RecvMsg(&wrapperspb.StringValue{}))
	// Output:
	// you say hello
	// you say goodbye
	// <nil> EOF
}
