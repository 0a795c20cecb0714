//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// An interceptor sees each unary call: it goes on, or answers itself.
func ExampleWithChainUnaryServerInterceptor() {
	logging := func(
		ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method,
	) (any, error) {
		reply, err := method(ctx, unmarshal)
		fmt.Println("server:", info.FullMethod, status.Code(err))
		return reply, err
	}
	authorizing := func(
		ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method,
	) (any, error) {
		if token, _ := ttrpc.GetMetadataValue(ctx, "token"); token != "sesame" {
			return nil, status.Error(codes.Unauthenticated, "no token")
		}
		return method(ctx, unmarshal)
	}
	server := newExample(&ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"Echo": echoBack}},
		ttrpc.WithChainUnaryServerInterceptor(logging, authorizing)) // logging is the outer one
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	ctx := context.Background()
	var reply wrapperspb.StringValue
	fmt.Println(client.Call(ctx, "example.Service", "Echo", wrapperspb.String("hello"), &reply))
	ctx = ttrpc.WithMetadata(ctx, ttrpc.MD{"token": {"sesame"}})
	fmt.Println(client.Call(ctx, "example.Service", "Echo", wrapperspb.String("hello"), &reply))
	// Output:
	// server: /example.Service/Echo Unauthenticated
	// rpc error: code = Unauthenticated desc = no token
	// server: /example.Service/Echo OK
	// <nil>
}

// An interceptor of streams may wrap the stream, to see its messages.
func ExampleWithStreamServerInterceptor() {
	counting := func(
		ctx context.Context, stream ttrpc.StreamServer, info *ttrpc.StreamServerInfo, handler ttrpc.StreamHandler,
	) (any, error) {
		counted := &countingStream{StreamServer: stream}
		reply, err := handler(ctx, counted)
		fmt.Println("server:", info.FullMethod, "has sent", counted.sent)
		return reply, err
	}
	server := newExample(&ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"Twice": {
		StreamingServer: true,
		Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
			for range 2 {
				if err := stream.SendMsg(wrapperspb.String("hello")); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}}}, ttrpc.WithStreamServerInterceptor(counting))
	defer server.Close()
	client := exampleClient(server)
	defer client.Close()

	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true},
		"example.Service", "Twice", &wrapperspb.StringValue{})
	if err != nil {
		log.Fatal(err)
	}
	for err == nil {
		err = stream.RecvMsg(&wrapperspb.StringValue{})
	}
	fmt.Println(err)
	// Output:
	// server: /example.Service/Twice has sent 2
	// EOF
}

type countingStream struct {
	ttrpc.StreamServer
	sent int
}

func (s *countingStream) SendMsg(m any) error {
	s.sent++
	return s.StreamServer.SendMsg(m)
}

// A status that the server has answered with is in the Response: the invoker's error is nil then.
func ExampleWithUnaryClientInterceptor() {
	logging := func(
		ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker,
	) error {
		err := invoke(ctx, req, resp)
		fmt.Println("client:", info.FullMethod, codes.Code(resp.Status.GetCode()), err)
		return err
	}
	server := newExample(&ttrpc.ServiceDesc{})
	defer server.Close()
	client := exampleClient(server, ttrpc.WithUnaryClientInterceptor(logging))
	defer client.Close()

	var reply wrapperspb.StringValue
	fmt.Println(client.Call(context.Background(), "example.Service", "Echo", wrapperspb.String("hello"), &reply))
	// Output:
	// client: /example.Service/Echo Unimplemented <nil>
	// rpc error: code = Unimplemented desc = method Echo
}

// An interceptor of streams runs around the opening of each.
func ExampleWithClientStreamInterceptor() {
	logging := func(
		ctx context.Context, desc *ttrpc.StreamDesc, service, method string, req any, open ttrpc.Streamer,
	) (ttrpc.ClientStream, error) {
		fmt.Println("client: opens", service, method)
		return open(ctx, desc, service, method, req)
	}
	server := newExample(&ttrpc.ServiceDesc{})
	defer server.Close()
	client := exampleClient(server, ttrpc.WithClientStreamInterceptor(logging))
	defer client.Close()

	stream, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true},
		"example.Service", "Watch", &wrapperspb.StringValue{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stream.RecvMsg(&wrapperspb.StringValue{}))
	// Output:
	// client: opens example.Service Watch
	// rpc error: code = Unimplemented desc = method Watch
}
