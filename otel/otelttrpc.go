// Package otelttrpc makes OpenTelemetry's spans and metrics of the calls of
// [github.com/containerd/ttrpc]: unary ones and streams, on either side.
//
//	server, err := ttrpc.NewServer(ttrpc.WithServerStats(otelttrpc.NewHandler()))
//	client := ttrpc.NewClient(conn, ttrpc.WithClientStats(otelttrpc.NewHandler()))
//
// Traces go on from the client to the server in the metadata of the request, under the names of the
// propagator's fields. That is as github.com/containerd/otelttrpc has it, at either end.
//
// Names are those of the semantic conventions for RPC: spans are called as the method, have
// rpc.system.name, rpc.method and rpc.response.status_code, and there are the histograms
// rpc.client.call.duration and rpc.server.call.duration, in seconds. The environment variable
// OTEL_SEMCONV_STABILITY_OPT_IN, a list with commas, has others beside them where rpc/dup is in it,
// or in their place where rpc/old is: rpc.system, rpc.service and so on, and the histograms
// rpc.client.duration and rpc.server.duration, in milliseconds, as github.com/containerd/otelttrpc
// has them. otelgrpc has the same values. It is read by NewHandler.
package otelttrpc

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/containerd/ttrpc"
)

// ScopeName is the name of the tracer and of the meter.
const ScopeName = "github.com/containerd/ttrpc/otel"

// Filter reports whether a call is to have a span and to be measured. The trace that its context
// belongs to goes on all the same.
type Filter func(ctx context.Context, info *ttrpc.CallInfo) bool

// Option is an option of [NewHandler].
type Option func(*Handler)

// WithTracerProvider sets where spans go; by default it is otel.GetTracerProvider's.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(h *Handler) { h.tracers = p }
}

// WithMeterProvider sets where measurements go; by default it is otel.GetMeterProvider's.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(h *Handler) { h.meters = p }
}

// WithPropagator sets how a trace travels in the metadata; by default it is
// otel.GetTextMapPropagator's, as it is when a call is made.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(h *Handler) { h.propagator = p }
}

// WithFilter adds a filter: a call counts if all filters let it through.
func WithFilter(f Filter) Option {
	return func(h *Handler) { h.filters = append(h.filters, f) }
}

// WithMessageEvents has spans get an event for each message, which is called "message" and has
// rpc.message.type, SENT or RECEIVED, rpc.message.id, which counts the messages of a direction from
// 1, and the sizes in bytes, rpc.message.uncompressed_size of the message itself and
// rpc.message.compressed_size of its frame.
func WithMessageEvents() Option {
	return func(h *Handler) { h.events = true }
}

// Handler is a [ttrpc.StatsHandler] for a server or a client, or for any number of them.
type Handler struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	propagator propagation.TextMapPropagator // nil: the global one
	filters    []Filter
	events     bool

	names  naming
	tracer trace.Tracer
	meter  instruments
}

var _ ttrpc.StatsHandler = (*Handler)(nil)

// NewHandler returns a handler for [ttrpc.WithServerStats] and [ttrpc.WithClientStats].
func NewHandler(opts ...Option) *Handler {
	h := &Handler{names: namingOf(optIn())}
	for _, opt := range opts {
		opt(h)
	}
	if h.tracers == nil {
		h.tracers = otel.GetTracerProvider()
	}
	if h.meters == nil {
		h.meters = otel.GetMeterProvider()
	}
	h.tracer = h.tracers.Tracer(ScopeName)
	h.meter = newInstruments(h.meters.Meter(ScopeName), h.names)
	return h
}

// TagConn implements [ttrpc.StatsHandler]. It does nothing.
func (h *Handler) TagConn(ctx context.Context, _ *ttrpc.ConnInfo) context.Context { return ctx }

// HandleConn implements [ttrpc.StatsHandler]. It does nothing.
func (h *Handler) HandleConn(context.Context, ttrpc.ConnEvent) {}

func (h *Handler) propagate() propagation.TextMapPropagator {
	if h.propagator != nil {
		return h.propagator
	}
	return otel.GetTextMapPropagator()
}

func (h *Handler) wants(ctx context.Context, info *ttrpc.CallInfo) bool {
	for _, f := range h.filters {
		if !f(ctx, info) {
			return false
		}
	}
	return true
}
