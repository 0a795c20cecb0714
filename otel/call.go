package otelttrpc

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// call is what a handler keeps of a call, in its context.
type call struct {
	span           trace.Span
	start          time.Time            // of the span, and of what is measured
	attributes     []attribute.KeyValue // of the current names, of which those of a measurement come
	old            []attribute.KeyValue
	sent, received atomic.Int64
}

// callKey is the key of a *call of the handler in a context; nil says that it is filtered out.
type callKey struct{ h *Handler }

// TagCall implements [ttrpc.StatsHandler]: it begins the span, and puts it into the metadata of a
// client's call.
func (h *Handler) TagCall(ctx context.Context, info *ttrpc.CallInfo) context.Context {
	kind := trace.SpanKindClient
	if !info.Client {
		kind = trace.SpanKindServer
		ctx = h.extract(ctx)
	}
	if h.wants(ctx, info) {
		c := &call{start: time.Now()}
		if h.names.current {
			c.attributes = methodAttributes(info)
		}
		if h.names.old {
			c.old = oldMethodAttributes(info)
		}
		// Where both have an rpc.method, the latter counts.
		ctx, c.span = h.tracer.Start(ctx, spanName(info), trace.WithSpanKind(kind), trace.WithTimestamp(c.start),
			trace.WithAttributes(c.old...), trace.WithAttributes(c.attributes...))
		if info.Unregistered && h.names.current {
			c.span.SetAttributes(methodOriginal.String(plainMethod(info)))
		}
		ctx = context.WithValue(ctx, callKey{h}, c)
	} else {
		ctx = context.WithValue(ctx, callKey{h}, (*call)(nil))
	}
	if info.Client {
		ctx = h.inject(ctx)
	}
	return ctx
}

// HandleCall implements [ttrpc.StatsHandler].
func (h *Handler) HandleCall(ctx context.Context, event ttrpc.CallEvent) {
	c, _ := ctx.Value(callKey{h}).(*call)
	if c == nil {
		return
	}
	switch e := event.(type) {
	case *ttrpc.InPayload:
		if n := c.received.Add(1); h.events {
			c.message(received, n, e.Size, e.WireSize, trace.WithTimestamp(e.Time))
		}
	case *ttrpc.OutPayload:
		if n := c.sent.Add(1); h.events {
			c.message(sent, n, e.Size, e.WireSize, trace.WithTimestamp(e.Time))
		}
	case *ttrpc.CallEnd:
		c.end(ctx, h, e)
	}
}

func (c *call) message(typ attribute.KeyValue, id int64, size, wireSize int, at trace.EventOption) {
	if c.span.IsRecording() {
		c.span.AddEvent("message", at, trace.WithAttributes(typ, messageID.Int64(id),
			messageSize.Int(size), messageWireSize.Int(wireSize)))
	}
}

func (c *call) end(ctx context.Context, h *Handler, e *ttrpc.CallEnd) {
	st := status.Convert(e.Err)
	failed := isError(e.Client, st.Code())
	if failed {
		c.span.SetStatus(codes.Error, st.Message())
	}
	took := e.End.Sub(c.start)
	if h.names.current {
		outcome := outcomeAttributes(st.Code(), failed)
		peer := peerAttributes(e)
		c.span.SetAttributes(append(outcome, peer...)...)
		all := append(append([]attribute.KeyValue{}, c.attributes...), outcome...)
		h.meter.current(e.Client).Record(ctx, took.Seconds(), metric.WithAttributes(append(all, serverOnly(e, peer)...)...))
	}
	if h.names.old {
		outcome := oldStatusCode.Int64(int64(st.Code()))
		c.span.SetAttributes(outcome)
		all := append(append([]attribute.KeyValue{}, c.old...), outcome)
		h.meter.old(e.Client).Record(ctx, took.Milliseconds(), metric.WithAttributes(all...))
	}
	c.span.End(trace.WithTimestamp(e.End))
}

// isError reports whether a status is an error of a span of that side: a server is not at fault for
// what its clients have asked.
func isError(client bool, code grpccodes.Code) bool {
	if client {
		return code != grpccodes.OK
	}
	switch code {
	case grpccodes.Unknown, grpccodes.DeadlineExceeded, grpccodes.Unimplemented,
		grpccodes.Internal, grpccodes.Unavailable, grpccodes.DataLoss:
		return true
	}
	return false
}
