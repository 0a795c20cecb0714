//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// callPrinter tells of each call when it is over.
type callPrinter struct{}

func (callPrinter) TagConn(ctx context.Context, _ *ttrpc.ConnInfo) context.Context { return ctx }
func (callPrinter) HandleConn(context.Context, ttrpc.ConnEvent)                    {}
func (callPrinter) TagCall(ctx context.Context, _ *ttrpc.CallInfo) context.Context { return ctx }

func (callPrinter) HandleCall(_ context.Context, event ttrpc.CallEvent) {
	switch e := event.(type) {
	case *ttrpc.InPayload:
		fmt.Println("received", e.Size, "bytes")
	case *ttrpc.OutPayload:
		fmt.Println("sent", e.Size, "bytes")
	case *ttrpc.CallEnd:
		fmt.Println(e.FullMethod, status.Code(e.Err), e.End.Sub(e.Begin) >= 0)
	}
}

// A handler of stats is told of every call, with the sizes of its messages and what became of it. A
// client's is set with WithClientStats.
func ExampleWithServerStats() {
	server, err := ttrpc.NewServer(ttrpc.WithServerStats(callPrinter{}))
	if err != nil {
		panic(err)
	}
	defer server.Close()
	// Generated code has a function for this.
	server.Register("hello.Greeter", map[string]ttrpc.Method{
		"Greet": func(_ context.Context, unmarshal func(any) error) (any, error) {
			name := new(wrapperspb.StringValue)
			if err := unmarshal(name); err != nil {
				return nil, err
			}
			return wrapperspb.String("Hello, " + name.Value + "!"), nil
		},
	})

	conn, peer := net.Pipe()
	go server.ServeConn(context.Background(), conn)
	client := ttrpc.NewClient(peer)
	defer client.Close()
	reply := new(wrapperspb.StringValue)
	for _, method := range []string{"Greet", "Great"} {
		_ = client.Call(context.Background(), "hello.Greeter", method, wrapperspb.String("world"), reply)
	}

	// Output:
	// received 7 bytes
	// sent 15 bytes
	// /hello.Greeter/Greet OK true
	// /hello.Greeter/Great Unimplemented true
}
