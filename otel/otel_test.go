package otelttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	apitrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
	otelttrpc "github.com/containerd/ttrpc/otel"
)

// rig is a server and a client of it, whose spans and measurements are kept in memory.
type rig struct {
	t      *testing.T
	client *ttrpc.Client
	spans  *tracetest.InMemoryExporter
	meters *metric.ManualReader
	opts   []otelttrpc.Option
}

// newRig has both sides watched, with such options.
func newRig(t *testing.T, opts ...otelttrpc.Option) *rig {
	r := &rig{t: t, spans: tracetest.NewInMemoryExporter(), meters: metric.NewManualReader()}
	r.opts = append([]otelttrpc.Option{
		otelttrpc.WithTracerProvider(trace.NewTracerProvider(trace.WithSyncer(r.spans))),
		otelttrpc.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(r.meters))),
		otelttrpc.WithPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	}, opts...)
	server, err := ttrpc.NewServer(ttrpc.WithServerStats(otelttrpc.NewHandler(r.opts...)))
	check(t, err)
	server.RegisterService("test.Service", service())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	go server.Serve(context.Background(), l)
	conn, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	r.client = ttrpc.NewClient(conn, ttrpc.WithClientStats(otelttrpc.NewHandler(r.opts...)))
	t.Cleanup(func() {
		r.client.Close()
		server.Close()
		check(t, server.Shutdown(context.Background()))
	})
	return r
}

func service() *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo": func(ctx context.Context, unmarshal func(any) error) (any, error) {
				in := new(wrapperspb.StringValue)
				if err := unmarshal(in); err != nil {
					return nil, err
				}
				if in.Value == "span" {
					in.Value = apitrace.SpanContextFromContext(ctx).TraceID().String()
				}
				return in, nil
			},
			"Fail": func(_ context.Context, unmarshal func(any) error) (any, error) {
				in := new(wrapperspb.Int32Value)
				if err := unmarshal(in); err != nil {
					return nil, err
				}
				return nil, status.Error(codes.Code(in.Value), "failed")
			},
		},
		Streams: map[string]ttrpc.Stream{
			"Chat": {StreamingClient: true, StreamingServer: true, Handler: func(_ context.Context, s ttrpc.StreamServer) (any, error) {
				for {
					in := new(wrapperspb.StringValue)
					if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
						return nil, nil
					} else if err != nil {
						return nil, err
					}
					if err := s.SendMsg(in); err != nil {
						return nil, err
					}
				}
			}},
		},
	}
}

func (r *rig) echo(ctx context.Context, in string) string {
	r.t.Helper()
	out := new(wrapperspb.StringValue)
	check(r.t, r.client.Call(ctx, "test.Service", "Echo", wrapperspb.String(in), out))
	return out.Value
}

// span returns the span of a side.
func (r *rig) span(kind apitrace.SpanKind) tracetest.SpanStub {
	r.t.Helper()
	for _, s := range r.spans.GetSpans() {
		if s.SpanKind == kind {
			return s
		}
	}
	r.t.Fatal("no span of kind", kind)
	return tracetest.SpanStub{}
}

// text has attributes in one line, without what differs from run to run.
func text(attributes []attribute.KeyValue) string {
	var words []string
	for _, kv := range attributes {
		if !strings.HasSuffix(string(kv.Key), ".port") {
			words = append(words, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// measured lists the series of all histograms, with their counts.
func (r *rig) measured() string {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	check(r.t, r.meters.Collect(context.Background(), &all))
	var lines []string
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch h := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range h.DataPoints {
					lines = append(lines, fmt.Sprintf("%s[%s] %d: %s", m.Name, m.Unit, p.Count, text(p.Attributes.ToSlice())))
				}
			case metricdata.Histogram[int64]:
				for _, p := range h.DataPoints {
					lines = append(lines, fmt.Sprintf("%s[%s] %d: %s", m.Name, m.Unit, p.Count, text(p.Attributes.ToSlice())))
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

const (
	ofClient = " network.peer.address=127.0.0.1 network.transport=tcp rpc.method=test.Service/"
	named    = " rpc.system.name=ttrpc server.address=127.0.0.1"
)

func TestUnaryCall(t *testing.T) {
	r := newRig(t)
	equal(t, r.echo(context.Background(), "hello"), "hello")
	client, server := r.span(apitrace.SpanKindClient), r.span(apitrace.SpanKindServer)
	for _, s := range []tracetest.SpanStub{client, server} {
		equal(t, s.Name, "test.Service/Echo")
		equal(t, s.Status.Code, otelcodes.Unset)
		equal(t, len(s.Events), 0)
		equal(t, s.EndTime.Before(s.StartTime), false)
		equal(t, s.InstrumentationScope.Name, otelttrpc.ScopeName)
	}
	equal(t, server.Parent.SpanID(), client.SpanContext.SpanID())
	equal(t, server.Parent.IsRemote(), true)
	equal(t, server.SpanContext.TraceID(), client.SpanContext.TraceID())
	equal(t, text(client.Attributes), ofClient[1:]+"Echo rpc.response.status_code=OK"+named)
	equal(t, text(server.Attributes), ofClient[1:]+"Echo rpc.response.status_code=OK rpc.system.name=ttrpc")
	equal(t, r.measured(), `rpc.client.call.duration[s] 1: rpc.method=test.Service/Echo rpc.response.status_code=OK`+named+`
rpc.server.call.duration[s] 1: rpc.method=test.Service/Echo rpc.response.status_code=OK rpc.system.name=ttrpc`)
}

// What is measured is the duration of the span, as the conventions have it.
func TestDuration(t *testing.T) {
	r := newRig(t)
	r.echo(context.Background(), "hello")
	want := map[string]float64{}
	for _, kind := range []apitrace.SpanKind{apitrace.SpanKindClient, apitrace.SpanKindServer} {
		s := r.span(kind)
		want["rpc."+kind.String()+".call.duration"] = s.EndTime.Sub(s.StartTime).Seconds()
	}
	var all metricdata.ResourceMetrics
	check(t, r.meters.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, p := range m.Data.(metricdata.Histogram[float64]).DataPoints {
				equal(t, p.Sum, want[m.Name])
				delete(want, m.Name)
			}
		}
	}
	equal(t, len(want), 0)
}

// A client's own failures have their codes, too.
func TestLocalErrors(t *testing.T) {
	for name, fail := range map[string]func(r *rig) error{
		"DEADLINE_EXCEEDED": func(r *rig) error {
			ctx, cancel := context.WithTimeout(context.Background(), 0)
			defer cancel()
			return r.client.Call(ctx, "test.Service", "Echo", wrapperspb.String(""), new(wrapperspb.StringValue))
		},
		"UNAVAILABLE": func(r *rig) error {
			r.client.Close()
			return r.client.Call(context.Background(), "test.Service", "Echo", wrapperspb.String(""), new(wrapperspb.StringValue))
		},
	} {
		r := newRig(t)
		if err := fail(r); err == nil {
			t.Error(name, "did not come")
		}
		s := r.span(apitrace.SpanKindClient)
		equal(t, s.Status.Code, otelcodes.Error)
		equal(t, strings.Contains(text(s.Attributes), "rpc.response.status_code="+name), true)
	}
}

// A server is at fault for some codes, a client's call has failed with any.
func TestErrors(t *testing.T) {
	for code, faults := range map[codes.Code][2]otelcodes.Code{
		codes.NotFound: {otelcodes.Error, otelcodes.Unset},
		codes.Internal: {otelcodes.Error, otelcodes.Error},
	} {
		r := newRig(t)
		name := map[codes.Code]string{codes.NotFound: "NOT_FOUND", codes.Internal: "INTERNAL"}[code]
		err := r.client.Call(context.Background(), "test.Service", "Fail", wrapperspb.Int32(int32(code)), new(wrapperspb.StringValue))
		equal(t, status.Code(err), code)
		for i, kind := range []apitrace.SpanKind{apitrace.SpanKindClient, apitrace.SpanKindServer} {
			s := r.span(kind)
			equal(t, s.Status.Code, faults[i])
			words := " " + text(s.Attributes) + " "
			equal(t, strings.Contains(words, " rpc.response.status_code="+name+" "), true)
			equal(t, strings.Contains(words, " error.type="+name+" "), faults[i] == otelcodes.Error)
		}
	}
}

// What a client makes up is in a span and not in a metric.
func TestUnknownMethod(t *testing.T) {
	r := newRig(t)
	err := r.client.Call(context.Background(), "test.Service", "Made-up", wrapperspb.String(""), new(wrapperspb.StringValue))
	equal(t, status.Code(err), codes.Unimplemented)
	s := r.span(apitrace.SpanKindServer)
	equal(t, s.Name, "ttrpc")
	equal(t, strings.Contains(text(s.Attributes), "rpc.method=_OTHER rpc.method_original=test.Service/Made-up"), true)
	equal(t, s.Parent.SpanID(), r.span(apitrace.SpanKindClient).SpanContext.SpanID())
	_, ofServer, _ := strings.Cut(r.measured(), "\n")
	equal(t, ofServer, "rpc.server.call.duration[s] 1: error.type=UNIMPLEMENTED rpc.method=_OTHER "+
		"rpc.response.status_code=UNIMPLEMENTED rpc.system.name=ttrpc")
}

func TestStreamAndMessageEvents(t *testing.T) {
	r := newRig(t, otelttrpc.WithMessageEvents())
	both := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	cs, err := r.client.NewStream(context.Background(), both, "test.Service", "Chat", nil)
	check(t, err)
	for range 2 {
		check(t, cs.SendMsg(wrapperspb.String("hello")))
		check(t, cs.RecvMsg(new(wrapperspb.StringValue)))
	}
	check(t, cs.CloseSend())
	equal(t, cs.RecvMsg(new(wrapperspb.StringValue)), io.EOF)
	client, server := r.span(apitrace.SpanKindClient), r.span(apitrace.SpanKindServer)
	equal(t, server.Parent.SpanID(), client.SpanContext.SpanID())
	for typ, s := range map[string]tracetest.SpanStub{"SENT RECEIVED": client, "RECEIVED SENT": server} {
		equal(t, s.Name, "test.Service/Chat")
		equal(t, len(s.Events), 4)
		for i, e := range s.Events {
			equal(t, e.Name, "message")
			equal(t, text(e.Attributes), fmt.Sprintf("rpc.message.compressed_size=17 rpc.message.id=%d rpc.message.type=%s "+
				"rpc.message.uncompressed_size=7", 1+i/2, strings.Fields(typ)[i%2]))
		}
	}
}

func TestFilter(t *testing.T) {
	r := newRig(t, otelttrpc.WithFilter(func(_ context.Context, info *ttrpc.CallInfo) bool { return info.FullMethod != "/test.Service/Echo" }))
	tracer := trace.NewTracerProvider().Tracer("")
	ctx, outer := tracer.Start(context.Background(), "outer")
	equal(t, r.echo(ctx, "span"), outer.SpanContext().TraceID().String()) // which goes on
	equal(t, len(r.spans.GetSpans()), 0)
	equal(t, r.measured(), "")
}

// The names are those that the variable says.
func TestOptIn(t *testing.T) {
	const (
		current = "rpc.client.call.duration rpc.server.call.duration"
		old     = "rpc.client.duration rpc.server.duration"
		dup     = "rpc.client.call.duration rpc.client.duration rpc.server.call.duration rpc.server.duration"
	)
	for value, want := range map[string]string{
		"": current, "rpc": current, "http": current, "rpc/old": old, "http/dup, rpc/old": old,
		"rpc/dup": dup, "rpc/old,rpc/dup": dup,
	} {
		t.Run(value, func(t *testing.T) {
			t.Setenv("OTEL_SEMCONV_STABILITY_OPT_IN", value)
			r := newRig(t)
			r.echo(context.Background(), "hello")
			var names []string
			for _, line := range strings.Split(r.measured(), "\n") {
				name, _, _ := strings.Cut(line, "[")
				names = append(names, name)
			}
			equal(t, strings.Join(names, " "), want)
			attributes := text(r.span(apitrace.SpanKindServer).Attributes)
			equal(t, strings.Contains(attributes, "rpc.system=ttrpc"), want != current)
			equal(t, strings.Contains(attributes, "rpc.service=test.Service"), want != current)
			equal(t, strings.Contains(attributes, "rpc.method=test.Service/Echo"), want != old)
			equal(t, strings.Contains(attributes, "rpc.ttrpc.status_code=0"), want != current)
		})
	}
}

// The user's metadata travels beside the trace, and is not changed.
func TestMetadataStays(t *testing.T) {
	r := newRig(t)
	md := ttrpc.MD{"key": {"value"}}
	r.echo(ttrpc.WithMetadata(context.Background(), md), "hello")
	equal(t, len(md), 1)
}
