package grpcttrpc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
)

// recorder is a stats.Handler that remembers what it is told, but for what ttrpc does not have: a
// server's headers, trailers and the like.
type recorder struct {
	ended chan struct{} // gets one for each call's end, on either side

	mu    sync.Mutex // guards lines
	lines []string
}

func (r *recorder) add(client bool, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	side := map[bool]string{true: "client ", false: "server "}[client]
	r.lines = append(r.lines, side+fmt.Sprintf(format, args...))
}

// taken returns what was told. The order of it differs: grpc-go has a server's header before Begin.
func (r *recorder) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.lines)
	return strings.Join(r.lines, "; ")
}

type sideKey struct{}

// TagRPC is on a client where no call has come in.
func (r *recorder) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		p, _ := peer.FromContext(ctx)
		r.add(false, "%s of %s from %s, tagged %s %x", info.FullMethodName, md["k"], p.Addr.Network(), md["tag"], md["tag-bin"])
		return context.WithValue(ctx, sideKey{}, "server's")
	}
	r.add(true, "%s", info.FullMethodName)
	ctx = metadata.AppendToOutgoingContext(ctx, "tag", "t", "tag-bin", "\x00\xff")
	return context.WithValue(ctx, sideKey{}, "client's")
}

func (r *recorder) HandleRPC(ctx context.Context, s stats.RPCStats) {
	what := ""
	switch s := s.(type) {
	case *stats.Begin:
		what = fmt.Sprintf("begins: streams %v %v", s.IsClientStream, s.IsServerStream)
	case *stats.InHeader:
		if !s.Client {
			what = fmt.Sprintf("header of %s: %v", s.FullMethod, s.Header["tag"])
		}
	case *stats.OutHeader:
		if s.Client {
			what = fmt.Sprintf("header of %s: %v %v", s.FullMethod, s.Header["k"], s.Header["tag"])
		}
	case *stats.InPayload:
		what = fmt.Sprintf("receives %T, %d bytes", s.Payload, s.Length)
	case *stats.OutPayload:
		what = fmt.Sprintf("sends %T, %d bytes", s.Payload, s.Length)
	case *stats.End:
		what = fmt.Sprintf("ends: %v", full(s.Error))
	}
	if what != "" {
		r.add(s.IsClient(), "%s, in the %s context", what, ctx.Value(sideKey{}))
	}
	if _, isEnd := s.(*stats.End); isEnd {
		r.ended <- struct{}{}
	}
}

func (r *recorder) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, sideKey{}, info.RemoteAddr.Network())
}

func (r *recorder) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, begins := s.(*stats.ConnBegin); begins {
		r.add(s.IsClient(), "connection by %s begins", ctx.Value(sideKey{}))
	}
}

// A handler for grpc-go's statistics sees the same over both wires.
func TestStatsHandler(t *testing.T) {
	ctx := metadata.AppendToOutgoingContext(bg, "k", "v")
	told := func(handler func(s *service), call func(w *wire)) scenario {
		r := map[string]*recorder{}
		return scenario{
			serve: func(w *wire, s *service) {
				handler(s)
				r[w.name] = &recorder{ended: make(chan struct{}, 2)}
				s.options = append(s.options, r[w.name])
			},
			run: func(w *wire) {
				call(w)
				for range 2 {
					wait(w, r[w.name].ended)
				}
				for line := range strings.SplitSeq(r[w.name].taken(), "; ") {
					w.say("%s", line)
				}
			},
		}
	}
	count := func(s *service) { *s = *counts() }
	runScenarios(t, map[string]scenario{
		"unary": told(count, func(w *wire) {
			_, err := w.client.UnaryCall(ctx, request(3))
			check(w, err)
		}),
		"failure": told(func(s *service) { fails(errTest)(nil, s) }, func(w *wire) {
			_, err := w.client.UnaryCall(ctx, request(3))
			w.say("%s", outcome(err))
		}),
		"the client streams, by a codec": told(count, func(w *wire) {
			stream, err := w.client.StreamingInputCall(ctx, forced(w))
			check(w, err)
			check(w, stream.Send(in(5)))
			_, err = stream.CloseAndRecv()
			w.say("%s", outcome(err))
		}),
		"both stream": told(count, func(w *wire) {
			stream, err := w.client.FullDuplexCall(ctx)
			check(w, err)
			check(w, stream.Send(asks(5)))
			_, err = stream.Recv()
			check(w, err)
			check(w, stream.CloseSend())
			_, err = stream.Recv()
			w.say("%s", outcome(err))
		}),
	})
}
