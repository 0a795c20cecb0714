package grpcttrpc

import (
	"context"
	"slices"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
)

// StatsHandler has a stats.Handler that was written for grpc-go, such as OpenTelemetry's, told of
// connections and calls. It is for [ttrpc.WithServerStats] and [ttrpc.WithClientStats], and sees
// all calls of the server or client, whatever their stubs. Metadata that TagRPC adds to a client's
// outgoing context travels, and a server's TagRPC finds what came, and the peer.
//
// h is told of connections, Begin, InPayload, OutPayload and End, and of the request's metadata by
// InHeader on a server and OutHeader on a client. ttrpc has no other headers, no trailers and no
// compression, and nothing tells whether a call waits for a connection.
func StatsHandler(h stats.Handler) ttrpc.StatsHandler {
	if h == nil {
		panic("grpcttrpc: StatsHandler was given a nil handler")
	}
	return statsHandler{h}
}

type statsHandler struct{ h stats.Handler }

// TagConn implements [ttrpc.StatsHandler].
func (s statsHandler) TagConn(ctx context.Context, info *ttrpc.ConnInfo) context.Context {
	return s.h.TagConn(ctx, &stats.ConnTagInfo{RemoteAddr: info.RemoteAddr, LocalAddr: info.LocalAddr})
}

// HandleConn implements [ttrpc.StatsHandler].
func (s statsHandler) HandleConn(ctx context.Context, event ttrpc.ConnEvent) {
	switch e := event.(type) {
	case *ttrpc.ConnBegin:
		s.h.HandleConn(ctx, &stats.ConnBegin{Client: e.Client})
	case *ttrpc.ConnEnd:
		s.h.HandleConn(ctx, &stats.ConnEnd{Client: e.Client})
	}
}

// TagCall implements [ttrpc.StatsHandler].
func (s statsHandler) TagCall(ctx context.Context, info *ttrpc.CallInfo) context.Context {
	tag := &stats.RPCTagInfo{FullMethodName: info.FullMethod}
	if !info.Client {
		md, _ := incoming(ctx) // what can't be decoded is the call's failure, not that of its statistics
		return s.h.TagRPC(metadata.NewIncomingContext(peer.NewContext(ctx, servedPeer(ctx)), md), tag)
	}
	before, _ := metadata.FromOutgoingContext(ctx)
	ctx = s.h.TagRPC(ctx, tag)
	after, _ := metadata.FromOutgoingContext(ctx)
	return sendAdded(ctx, before, after)
}

// sendAdded has sent what differs between two metadata: the first one is sent by ClientConn, if it
// is its call.
func sendAdded(ctx context.Context, before, after metadata.MD) context.Context {
	md, _ := ttrpc.GetMetadata(ctx) // a copy
	if md == nil {
		md = ttrpc.MD{}
	}
	for key, values := range after {
		if !slices.Equal(before[key], values) {
			delete(md, key)
			_ = appendTo(md, key, values) // what gRPC could not send is not sent
		}
	}
	if len(md) == 0 {
		return ctx
	}
	return ttrpc.WithMetadata(ctx, md)
}

// HandleCall implements [ttrpc.StatsHandler].
func (s statsHandler) HandleCall(ctx context.Context, event ttrpc.CallEvent) {
	switch e := event.(type) {
	case *ttrpc.CallBegin:
		s.h.HandleRPC(ctx, &stats.Begin{
			Client: e.Client, BeginTime: e.Time, IsClientStream: e.StreamingClient, IsServerStream: e.StreamingServer,
		})
		s.h.HandleRPC(ctx, header(ctx, &e.CallInfo))
	case *ttrpc.InPayload:
		s.h.HandleRPC(ctx, &stats.InPayload{
			Client: e.Client, Payload: userMessage(e.Message), Length: e.Size, CompressedLength: e.Size, WireLength: e.WireSize, RecvTime: e.Time,
		})
	case *ttrpc.OutPayload:
		s.h.HandleRPC(ctx, &stats.OutPayload{
			Client: e.Client, Payload: userMessage(e.Message), Length: e.Size, CompressedLength: e.Size, WireLength: e.WireSize, SentTime: e.Time,
		})
	case *ttrpc.CallEnd:
		s.h.HandleRPC(ctx, &stats.End{Client: e.Client, BeginTime: e.Begin, EndTime: e.End, Error: e.Err})
	}
}

// header tells of the metadata of a request.
func header(ctx context.Context, info *ttrpc.CallInfo) stats.RPCStats {
	md, _ := incoming(ctx)
	if info.Client {
		return &stats.OutHeader{Client: true, FullMethod: info.FullMethod, Header: md}
	}
	return &stats.InHeader{
		FullMethod: info.FullMethod, Header: md, RemoteAddr: ttrpc.RemoteAddr(ctx), LocalAddr: ttrpc.LocalAddr(ctx),
	}
}
