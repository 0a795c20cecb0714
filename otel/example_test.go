package otelttrpc_test

import (
	"context"
	"fmt"
	"net"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
	otelttrpc "github.com/containerd/ttrpc/otel"
)

// Both sides have a handler; a program sets the providers and the propagator for all of its
// libraries, with otel.SetTracerProvider and the like, and gives no options.
func Example() {
	exporter := tracetest.NewInMemoryExporter()
	opts := []otelttrpc.Option{
		otelttrpc.WithTracerProvider(trace.NewTracerProvider(trace.WithSyncer(exporter))),
		otelttrpc.WithPropagator(propagation.TraceContext{}),
	}
	server, err := ttrpc.NewServer(ttrpc.WithServerStats(otelttrpc.NewHandler(opts...)))
	if err != nil {
		panic(err)
	}
	defer server.Close()
	server.RegisterService("test.Service", service())

	conn, peer := net.Pipe()
	go server.ServeConn(context.Background(), conn)
	client := ttrpc.NewClient(peer, ttrpc.WithClientStats(otelttrpc.NewHandler(opts...)))
	defer client.Close()
	reply := new(wrapperspb.StringValue)
	if err := client.Call(context.Background(), "test.Service", "Echo", wrapperspb.String("hello"), reply); err != nil {
		panic(err)
	}
	spans := exporter.GetSpans()
	for _, s := range spans {
		fmt.Println(s.SpanKind, s.Name)
	}
	fmt.Println("one trace:", spans[0].SpanContext.TraceID() == spans[1].SpanContext.TraceID())

	// Output:
	// server test.Service/Echo
	// client test.Service/Echo
	// one trace: true
}
