package grpcttrpc_test

import (
	"context"
	"net"
	"testing"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type stamp struct{}

// stamps returns what interceptors outside of the one that asks have left.
func stamps(ctx context.Context) string {
	s, _ := ctx.Value(stamp{}).(string)
	return s
}

func unaryServer(w *wire, name string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		_, made := info.Server.(*service)
		w.tell("%s: %T for %s, made here: %v", name, req, info.FullMethod, made)
		resp, err := handler(context.WithValue(ctx, stamp{}, stamps(ctx)+name), req)
		w.tell("%s: %T %s", name, resp, full(err))
		return resp, err
	}
}

func unaryClient(w *wire, name string) grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		_ = conn.Target()
		w.say("%s: %T for %s, %d options", name, req, method, len(opts))
		ctx = metadata.AppendToOutgoingContext(ctx, "stamp", name)
		err := invoke(ctx, method, req, reply, conn, append(opts, grpc.OnFinish(func(error) { w.say("%s: finished", name) }))...)
		w.say("%s: %s", name, full(err))
		return err
	}
}

// stampedStream is a server's stream with another context, which tells of its messages.
type stampedStream struct {
	grpc.ServerStream
	ctx  context.Context
	w    *wire
	name string
}

func (s *stampedStream) Context() context.Context { return s.ctx }

func (s *stampedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	s.w.tell("%s: %T %s", s.name, m, outcome(err))
	return err
}

func streamServer(w *wire, name string) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		_, made := srv.(*service)
		w.tell("%s: %s %v %v, made here: %v", name, info.FullMethod, info.IsClientStream, info.IsServerStream, made)
		err := handler(srv, &stampedStream{stream, context.WithValue(stream.Context(), stamp{}, stamps(stream.Context())+name), w, name})
		w.tell("%s: %s", name, full(err))
		return err
	}
}

// countedStream is a client's stream that tells of its messages.
type countedStream struct {
	grpc.ClientStream
	w    *wire
	name string
}

func (s *countedStream) SendMsg(m any) error {
	s.w.say("%s: sends %T", s.name, m)
	return s.ClientStream.SendMsg(m)
}

func streamClient(w *wire, name string) grpc.StreamClientInterceptor {
	return func(
		ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		w.say("%s: %s %v %v, %d options", name, method, desc.ClientStreams, desc.ServerStreams, len(opts))
		stream, err := open(metadata.AppendToOutgoingContext(ctx, "stamp", name), desc, conn, method, opts...)
		if err != nil {
			return nil, err
		}
		return &countedStream{stream, w, name}, nil
	}
}

func TestInterceptors(t *testing.T) {
	stamped := func(w *wire, ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		w.tell("handler: %s %s", stamps(ctx), seen(md))
	}
	refuse := grpc.UnaryServerInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.PermissionDenied, "no")
	})
	runScenarios(t, map[string]scenario{
		"unary": {serve: func(w *wire, s *service) {
			s.unary = func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
				stamped(w, ctx)
				return nil, withDetails()
			}
			s.options = []any{
				unaryServer(w, "1"), unaryServer(w, "2"), unaryServer(w, "3"), unaryClient(w, "a"), unaryClient(w, "b"),
				grpc.WaitForReady(true), grpc.StaticMethod(),
			}
		}, run: calls(grpc.EmptyCallOption{})},
		"a refusal": {serve: func(w *wire, s *service) { s.options = []any{unaryServer(w, "1"), refuse} }, run: calls()},
		"stream": {serve: func(w *wire, s *service) {
			s.full = func(stream fullServer) error {
				m, err := stream.Recv()
				w.tell("handler: %d %s", len(m.GetPayload().GetBody()), outcome(err))
				stamped(w, stream.Context())
				return withDetails()
			}
			s.options = []any{streamServer(w, "1"), streamServer(w, "2"), streamClient(w, "a"), streamClient(w, "b")}
		}, run: func(w *wire) {
			stream, err := w.client.FullDuplexCall(bg)
			check(w, err)
			check(w, stream.Send(asks(3)))
			_, err = stream.Recv()
			w.say("%s", full(err))
		}},
		"server stream": {serve: func(w *wire, s *service) {
			sends(2, nil)(w, s)
			s.options = []any{streamServer(w, "1"), streamClient(w, "a")}
		}, run: takesOutput},
		"defaults": {serve: func(w *wire, s *service) {
			s.unary = echo
			s.options = []any{grpc.MaxCallSendMsgSize(5)}
		}, run: func(w *wire) {
			calls()(w)
			calls(grpc.MaxCallSendMsgSize(100))(w)
		}},
	})
}

// TestBothWorlds has interceptors of ttrpc's around those of grpc's: outside on the server, inside
// on the client.
func TestBothWorlds(t *testing.T) {
	w := &wire{TB: t, name: "ttrpc"}
	server, err := ttrpc.NewServer(
		ttrpc.WithUnaryServerInterceptor(
			func(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
				md, _ := ttrpc.GetMetadata(ctx)
				w.tell("ttrpc's server: %s %v", info.FullMethod, md["k-bin"])
				return m(context.WithValue(ctx, stamp{}, "ttrpc"), u)
			}),
		ttrpc.WithStreamServerInterceptor(
			func(ctx context.Context, s ttrpc.StreamServer, info *ttrpc.StreamServerInfo, h ttrpc.StreamHandler) (any, error) {
				w.tell("ttrpc's server: %s %v %v", info.FullMethod, info.StreamingClient, info.StreamingServer)
				return h(context.WithValue(ctx, stamp{}, "ttrpc"), s)
			}))
	check(t, err)
	s := &service{
		unary: func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			w.tell("handler: %s", stamps(ctx))
			return echo(ctx, in)
		},
		full: func(stream fullServer) error {
			w.tell("handler: %s", stamps(stream.Context()))
			return nil
		},
	}
	registrar := grpcttrpc.NewRegistrar(server,
		grpcttrpc.ChainUnaryInterceptor(unaryServer(w, "1")), grpcttrpc.ChainStreamInterceptor(streamServer(w, "1")))
	l := listen(t)
	w.serve(func(l net.Listener) error { return server.Serve(bg, l) }, l, registrar, s, func() { server.Close() })
	w.start()
	client := dial(t, l,
		ttrpc.WithUnaryClientInterceptor(
			func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
				w.say("ttrpc's client: %s %d", info.FullMethod, len(req.Metadata))
				return invoke(ctx, req, resp)
			}),
		ttrpc.WithClientStreamInterceptor(
			func(ctx context.Context, desc *ttrpc.StreamDesc, service, method string, req any, open ttrpc.Streamer) (ttrpc.ClientStream, error) {
				w.say("ttrpc's client: %s %s", service, method)
				return open(ctx, desc, service, method, req)
			}))
	conn := grpcttrpc.NewClientConn(client,
		grpcttrpc.WithChainUnaryInterceptor(unaryClient(w, "a")), grpcttrpc.WithChainStreamInterceptor(streamClient(w, "a")))
	tc := grpc_testing.NewTestServiceClient(conn)
	_, err = tc.UnaryCall(metadata.AppendToOutgoingContext(bg, "k-bin", "\x00"), request(1))
	check(t, err)
	stream, err := tc.FullDuplexCall(bg)
	check(t, err)
	_, err = stream.Recv()
	w.say("%s", outcome(err))
	compare(t, nil, map[string][]string{"ttrpc": w.lines(), "grpc": {
		"a: *grpc_testing.SimpleRequest for /grpc.testing.TestService/UnaryCall, 1 options",
		"ttrpc's client: /grpc.testing.TestService/UnaryCall 2",
		"a: finished",
		"a: ok",
		"a: /grpc.testing.TestService/FullDuplexCall true true, 1 options",
		"ttrpc's client: grpc.testing.TestService FullDuplexCall",
		"EOF",
		"ttrpc's server: /grpc.testing.TestService/UnaryCall [AA]",
		"1: *grpc_testing.SimpleRequest for /grpc.testing.TestService/UnaryCall, made here: true",
		"handler: ttrpc1",
		"1: *grpc_testing.SimpleResponse ok",
		"ttrpc's server: /grpc.testing.TestService/FullDuplexCall true true",
		"1: /grpc.testing.TestService/FullDuplexCall true true, made here: true",
		"handler: ttrpc1",
		"1: ok",
	}})
}
