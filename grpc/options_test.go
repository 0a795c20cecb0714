package grpcttrpc_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// seen is metadata without what HTTP/2 brings.
func seen(md metadata.MD) string {
	var lines []string
	for key, values := range md {
		switch key {
		case ":authority", "content-type", "user-agent", "grpc-accept-encoding":
		default:
			for i, value := range values {
				if strings.HasSuffix(key, "-bin") {
					values[i] = hex.EncodeToString([]byte(value))
				}
			}
			lines = append(lines, fmt.Sprintf("%s=%q", key, values))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

func TestMetadata(t *testing.T) {
	look := sees(func(w *wire, ctx context.Context) {
		md, ok := metadata.FromIncomingContext(ctx)
		out, sends := metadata.FromOutgoingContext(ctx)
		w.tell("%v %s; sends on %v %v", ok, seen(md), out, sends)
	})
	calls := func(mds ...metadata.MD) func(w *wire) {
		return func(w *wire) {
			for _, md := range mds {
				_, err := w.client.UnaryCall(metadata.NewOutgoingContext(bg, md), request(1))
				w.say("%s", outcome(err))
			}
		}
	}
	runScenarios(t, map[string]scenario{
		"none":   {serve: look, run: calls(nil)},
		"values": {serve: look, run: calls(metadata.Pairs("k", "1", "K", "2", "other", "", "a.b-c_d", "x y"))},
		"added": {serve: look, run: func(w *wire) {
			ctx := metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(bg, metadata.MD{"key": {"1"}}), "KEY", "2", "b-bin", "\x00\xff")
			_, err := w.client.UnaryCall(ctx, request(1))
			w.say("%s", outcome(err))
		}},
		// grpc-go lets capitals through where AppendToOutgoingContext has them.
		"capitals": {serve: look, run: calls(metadata.MD{"Key": {"v"}}), differs: &difference{
			grpc:  []string{"Internal"},
			ttrpc: []string{"ok", `true key=["v"]; sends on map[] false`},
		}},
		"bytes": {serve: look, run: calls(
			metadata.Pairs("b-bin", "", "b-bin", "\x00", "b-bin", "\xff\xfe", "b-bin", "abc", "b-bin", "text, with comma"))},
		"reserved": {serve: look, run: calls(metadata.Pairs(
			"te", "x", "grpc-timeout", "1n", "grpc-status", "5", "grpc-message", "m", "grpc-encoding", "gzip", "grpc-message-type", "t",
			"content-type", "c", ":path", "/p", "grpc-trace-bin", "t", "grpc-own", "o", "authorization", "a"))},
		"refused": {serve: look, run: calls(
			metadata.MD{"": {"v"}}, metadata.MD{"a key": {"v"}}, metadata.MD{"schlüssel": {"v"}}, metadata.MD{"k": {"\n"}},
			metadata.MD{"k": {"ü"}}, metadata.MD{"k": {"good", "\x7f"}})},
	})
}

// perCall are credentials for one call.
type perCall struct {
	md     map[string]string
	err    error
	secure bool
	w      *wire
}

func (p *perCall) GetRequestMetadata(_ context.Context, uri ...string) (map[string]string, error) {
	p.w.say("%s", uri)
	return p.md, p.err
}

func (p *perCall) RequireTransportSecurity() bool { return p.secure }

func TestCredentials(t *testing.T) {
	look := sees(func(w *wire, ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		w.tell("%s", seen(md))
	})
	with := func(creds perCall) func(w *wire) {
		return func(w *wire) {
			creds.w = w
			calls(grpc.PerRPCCredentials(&creds))(w)
		}
	}
	runScenarios(t, map[string]scenario{
		"metadata":   {serve: look, run: with(perCall{md: map[string]string{"Authorization": "token"}})},
		"secure":     {serve: look, run: with(perCall{md: map[string]string{"authorization": "token"}, secure: true})},
		"fail":       {serve: look, run: with(perCall{err: errTest})},
		"a status":   {serve: look, run: with(perCall{err: status.Error(codes.Unavailable, "")})},
		"a bad name": {serve: look, run: with(perCall{md: map[string]string{"a b": "token"}})},
	})
}

// countingCodec is protobuf's, and tells when it is used.
type countingCodec struct {
	encoding.CodecV2
	w *wire
}

func (c countingCodec) Marshal(v any) (mem.BufferSlice, error) {
	c.w.say("marshal %T", v)
	return c.CodecV2.Marshal(v)
}

func (c countingCodec) Unmarshal(data mem.BufferSlice, v any) error {
	c.w.say("unmarshal %T", v)
	return c.CodecV2.Unmarshal(data, v)
}

// oldCodec is protobuf's in the older form, for grpc.ForceCodec and grpc.CallCustomCodec.
type oldCodec struct{ w *wire }

func (c oldCodec) Marshal(v any) ([]byte, error) {
	c.w.say("marshal %T", v)
	return proto.Marshal(v.(proto.Message))
}

func (c oldCodec) Unmarshal(data []byte, v any) error {
	c.w.say("unmarshal %T", v)
	return proto.Unmarshal(data, v.(proto.Message))
}

func (oldCodec) Name() string   { return "proto" }
func (oldCodec) String() string { return "proto" }

func forced(w *wire) grpc.CallOption {
	return grpc.ForceCodecV2(countingCodec{encoding.GetCodecV2("proto"), w})
}

func TestCallOptions(t *testing.T) {
	runScenarios(t, map[string]scenario{
		"peer": {serve: echoes, run: func(w *wire) {
			p := new(peer.Peer)
			_, err := w.client.UnaryCall(bg, request(1), grpc.Peer(p))
			w.say("%s %s %s %s", outcome(err), p.Addr.Network(), p.LocalAddr.Network(), p.AuthInfo.AuthType())
		}},
		"OnFinish": {serve: fails(nil, errTest), run: func(w *wire) {
			for i := range 2 {
				_, err := w.client.UnaryCall(bg, &grpc_testing.SimpleRequest{ResponseSize: int32(i)},
					grpc.OnFinish(func(err error) { w.say("finished: %s", full(err)) }),
					grpc.OnFinish(func(err error) { w.say("and: %s", full(err)) }))
				w.say("%s", full(err))
			}
			ctx, cancel := context.WithCancel(bg)
			cancel()
			_, err := w.client.UnaryCall(ctx, request(1), grpc.OnFinish(func(err error) { w.say("finished: %s", outcome(err)) }))
			w.say("%s", outcome(err))
		}},
		"limits": {serve: echoes, run: func(w *wire) {
			for _, opt := range []grpc.CallOption{
				grpc.MaxCallSendMsgSize(5), grpc.MaxCallRecvMsgSize(5), grpc.MaxCallSendMsgSize(100), grpc.MaxCallRecvMsgSize(100),
			} {
				calls(opt)(w)
			}
		}},
		"ignored": {serve: echoes, run: func(w *wire) {
			for _, opt := range []grpc.CallOption{
				//lint:ignore SA1019 programs have it
				grpc.WaitForReady(true), grpc.FailFast(true),
				grpc.MaxRetryRPCBufferSize(1), grpc.UseCompressor("gzip"), grpc.StaticMethod(),
				grpc.EmptyCallOption{}, grpc.CallContentSubtype("proto"), grpc.CallContentSubtype("PROTO"),
			} {
				calls(opt)(w)
			}
		}},
		"codec": {serve: echoes, run: func(w *wire) {
			calls(forced(w))(w)
			calls(grpc.ForceCodec(oldCodec{w}))(w)
			//lint:ignore SA1019 programs have it
			calls(grpc.CallCustomCodec(oldCodec{w}))(w)
			calls(grpc.ForceCodecV2(encoding.GetCodecV2("proto")), grpc.MaxCallSendMsgSize(5))(w)
			calls(grpc.ForceCodecV2(encoding.GetCodecV2("proto")), grpc.MaxCallRecvMsgSize(5))(w)
			out := new(grpc_testing.SimpleResponse)
			err := w.conn.Invoke(bg, grpc_testing.TestService_UnaryCall_FullMethodName, request(3), out,
				grpc.ForceCodecV2(encoding.GetCodecV2("proto")))
			w.say("%s %d", outcome(err), len(out.Payload.Body))
		}},
		"headers and trailers": {
			serve: sees(func(w *wire, ctx context.Context) {
				w.tell("%s", outcome(grpc.SetHeader(ctx, nil)))
				w.tell("%s", outcome(grpc.SetHeader(ctx, metadata.Pairs("k", "set"))))
				w.tell("%s", outcome(grpc.SetTrailer(ctx, metadata.Pairs("k", "trailer"))))
				w.tell("%s", outcome(grpc.SendHeader(ctx, nil)))
			}),
			run: func(w *wire) {
				var header, trailer metadata.MD
				calls(grpc.Header(&header), grpc.Trailer(&trailer))(w)
				w.say("%v, %v, %v", header != nil, header["k"], trailer["k"])
			},
			differs: &difference{
				grpc:  []string{"ok", "true, [set], [trailer]", "ok", "ok", "ok", "ok"},
				ttrpc: []string{"ok", "true, [], []", "ok", "Unimplemented", "Unimplemented", "ok"},
			},
		},
		"compressors of a handler": {
			serve: sees(func(w *wire, ctx context.Context) {
				w.tell("%v", grpc.SetSendCompressor(ctx, "gzip") == nil)
				_, err := grpc.ClientSupportedCompressors(ctx)
				w.tell("%v", err == nil)
			}),
			run:     calls(),
			differs: &difference{grpc: []string{"ok", "true", "true"}, ttrpc: []string{"ok", "false", "false"}},
		},
		"other encodings": {serve: echoes, run: calls(grpc.CallContentSubtype("json")), differs: &difference{
			grpc:  []string{"Internal"}, // where no codec of that name is registered
			ttrpc: []string{"Unimplemented"},
		}},
		"authority": {serve: echoes, run: calls(grpc.CallAuthority("example.com")), differs: &difference{
			grpc:  []string{"ok"},
			ttrpc: []string{"Unimplemented"},
		}},
	})
}
