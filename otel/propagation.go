package otelttrpc

import (
	"context"
	"maps"
	"slices"

	"go.opentelemetry.io/otel/propagation"

	"github.com/containerd/ttrpc"
)

// carrier is metadata, by the propagator's view.
type carrier ttrpc.MD

var _ propagation.TextMapCarrier = carrier{}

// Get returns the first value of a key.
func (c carrier) Get(key string) string {
	values, _ := ttrpc.MD(c).Get(key)
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Set replaces the values of a key.
func (c carrier) Set(key, value string) { ttrpc.MD(c).Set(key, value) }

// Keys lists the keys.
func (c carrier) Keys() []string { return slices.Collect(maps.Keys(c)) }

// inject puts the span into the metadata that goes out.
func (h *Handler) inject(ctx context.Context) context.Context {
	md, _ := ttrpc.GetMetadata(ctx) // a copy
	if md == nil {
		md = ttrpc.MD{}
	}
	before := len(md)
	h.propagate().Inject(ctx, carrier(md))
	if before == 0 && len(md) == 0 {
		return ctx
	}
	return ttrpc.WithMetadata(ctx, md)
}

// extract puts the client's span, if the metadata has it, into the context of a call on a server.
func (h *Handler) extract(ctx context.Context) context.Context {
	md, ok := ttrpc.GetMetadata(ctx)
	if !ok {
		return ctx
	}
	return h.propagate().Extract(ctx, carrier(md))
}
