// Package interop holds that traces go on between this module and github.com/containerd/otelttrpc,
// and OpenTelemetry's handlers for grpc-go, whichever end either of them is at.
package interop

import (
	"context"
	"net"
	"testing"

	"github.com/containerd/otelttrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	ours "github.com/containerd/ttrpc/otel"
)

var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// call makes a call with baggage, and returns what the handler has seen of that.
func call(t *testing.T, server ttrpc.ServerOpt, client ttrpc.ClientOpts) (seen string) {
	t.Helper()
	s, err := ttrpc.NewServer(server)
	check(t, err)
	s.Register("test.Service", map[string]ttrpc.Method{
		"Bags": func(ctx context.Context, unmarshal func(any) error) (any, error) {
			if err := unmarshal(new(wrapperspb.StringValue)); err != nil {
				return nil, err
			}
			return wrapperspb.String(baggage.FromContext(ctx).Member("bag").Value()), nil
		},
	})
	conn, peer := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- s.ServeConn(context.Background(), conn) }()
	c := ttrpc.NewClient(peer, client)
	member, err := baggage.NewMember("bag", "full")
	check(t, err)
	bags, err := baggage.New(member)
	check(t, err)
	ctx := ttrpc.WithMetadata(baggage.ContextWithBaggage(context.Background(), bags), ttrpc.MD{"key": {"value"}})
	out := new(wrapperspb.StringValue)
	check(t, c.Call(ctx, "test.Service", "Bags", wrapperspb.String(""), out))
	c.Close()
	check(t, <-served)
	return out.Value
}

func TestTracesGoOn(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	handler := ours.NewHandler(ours.WithTracerProvider(provider), ours.WithPropagator(propagator))
	theirs := []otelttrpc.Option{otelttrpc.WithTracerProvider(provider), otelttrpc.WithPropagators(propagator)}
	grpcs := []otelgrpc.Option{otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagator)}
	grpcServer := ttrpc.WithServerStats(grpcttrpc.StatsHandler(otelgrpc.NewServerHandler(grpcs...)))
	grpcClient := ttrpc.WithClientStats(grpcttrpc.StatsHandler(otelgrpc.NewClientHandler(grpcs...)))
	for name, sides := range map[string]struct {
		server ttrpc.ServerOpt
		client ttrpc.ClientOpts
	}{
		"their client":  {ttrpc.WithServerStats(handler), ttrpc.WithUnaryClientInterceptor(otelttrpc.UnaryClientInterceptor(theirs...))},
		"their server":  {ttrpc.WithUnaryServerInterceptor(otelttrpc.UnaryServerInterceptor(theirs...)), ttrpc.WithClientStats(handler)},
		"grpc's client": {ttrpc.WithServerStats(handler), grpcClient},
		"grpc's server": {grpcServer, ttrpc.WithClientStats(handler)},
		"grpc's both":   {grpcServer, grpcClient},
	} {
		t.Run(name, func(t *testing.T) {
			spans.Reset()
			if seen := call(t, sides.server, sides.client); seen != "full" {
				t.Errorf("the handler has the baggage %q", seen)
			}
			found := map[apitrace.SpanKind]tracetest.SpanStub{}
			for _, s := range spans.GetSpans() {
				found[s.SpanKind] = s
			}
			client, server := found[apitrace.SpanKindClient], found[apitrace.SpanKindServer]
			if len(found) != 2 || client.SpanContext.SpanID() != server.Parent.SpanID() || client.Name != server.Name {
				t.Errorf("client %v, server %v below %v", client.SpanContext, server.SpanContext, server.Parent)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
