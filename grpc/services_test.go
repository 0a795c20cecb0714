package grpcttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// TestHealth has grpc's own health service over both wires, from one registration.
func TestHealth(t *testing.T) {
	for _, name := range []string{"grpc", "ttrpc"} {
		t.Run(name, func(t *testing.T) {
			wires := both(t, new(service))
			h := health.NewServer()
			healthpb.RegisterHealthServer(grpcttrpc.Registrars{wires["grpc"].server, wires["ttrpc"].server}, h)
			for _, w := range wires {
				w.start()
			}
			client := healthpb.NewHealthClient(wires[name].conn)
			answer, err := client.Check(bg, new(healthpb.HealthCheckRequest))
			check(t, err)
			if answer.Status != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("got %v", answer.Status)
			}
			_, err = client.Check(bg, &healthpb.HealthCheckRequest{Service: "other"})
			if outcome(err) != "NotFound" {
				t.Errorf("of an unknown service: %v", err)
			}
			watch(t, client, h)
		})
	}
}

// watch follows a service through its states.
func watch(t *testing.T, client healthpb.HealthClient, h *health.Server) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "watched"})
	check(t, err)
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVICE_UNKNOWN, healthpb.HealthCheckResponse_NOT_SERVING, healthpb.HealthCheckResponse_SERVING,
	} {
		if want != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
			h.SetServingStatus("watched", want)
		}
		state, err := stream.Recv()
		check(t, err)
		if state.Status != want {
			t.Errorf("got %v, want %v", state.Status, want)
		}
	}
	cancel()
	if _, err := stream.Recv(); outcome(err) != "Canceled" {
		t.Errorf("after cancelling: %v", err)
	}
}

// TestReflection has grpc's own reflection service list what is registered, and describe it.
func TestReflection(t *testing.T) {
	logs := map[string][]string{}
	for name, w := range both(t, new(service)) {
		reflection.Register(w.server.(reflection.GRPCServer))
		w.start()
		stream, err := reflectionpb.NewServerReflectionClient(w.conn).ServerReflectionInfo(bg)
		check(t, err)
		w.ask(stream, &reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
		})
		w.ask(stream, &reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "grpc.testing.TestService"},
		})
		w.ask(stream, &reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: "none.proto"},
		})
		check(t, stream.CloseSend())
		_, err = stream.Recv()
		w.say("%s", outcome(err))
		logs[name] = w.lines()
	}
	compare(t, nil, logs)
}

func (w *wire) ask(stream reflectionpb.ServerReflection_ServerReflectionInfoClient, req *reflectionpb.ServerReflectionRequest) {
	check(w, stream.Send(req))
	answer, err := stream.Recv()
	check(w, err)
	w.say("%d files, code %d", len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()), answer.GetErrorResponse().GetErrorCode())
	for _, s := range answer.GetListServicesResponse().GetService() {
		w.say("%s", s.Name)
	}
}

// TestServiceInfo compares what reflection and others ask a server for.
func TestServiceInfo(t *testing.T) {
	logs := map[string][]string{}
	for name, w := range both(t, new(service)) {
		w.start()
		for service, info := range w.server.(reflection.ServiceInfoProvider).GetServiceInfo() {
			for _, m := range info.Methods {
				w.say("%s %+v %v", service, m, info.Metadata)
			}
		}
		logs[name] = w.lines()
		slices.Sort(logs[name])
	}
	compare(t, nil, logs)
}

func TestRegisterPanics(t *testing.T) {
	server, err := ttrpc.NewServer()
	check(t, err)
	r := grpcttrpc.NewRegistrar(server)
	grpc_testing.RegisterTestServiceServer(r, new(service))
	for name, f := range map[string]func(){
		"it does not implement":  func() { r.RegisterService(&grpc_testing.UnimplementedService_ServiceDesc, "text") },
		"duplicate service":      func() { grpc_testing.RegisterTestServiceServer(r, new(service)) },
		"was given a nil server": func() { grpcttrpc.NewRegistrar(nil) },
		"was given a nil client": func() { grpcttrpc.NewClientConn(nil) },
	} {
		func() {
			defer func() {
				if v := recover(); !strings.Contains(fmt.Sprint(v), name) {
					t.Errorf("%s: got %v", name, v)
				}
			}()
			f()
		}()
	}
	if len(r.GetServiceInfo()) != 1 {
		t.Errorf("registered: %v", r.GetServiceInfo())
	}
}

// serving is a test service over ttrpc alone.
func serving(t *testing.T, s *service, serverOpts []ttrpc.ServerOpt, opts ...grpcttrpc.ServerOption) net.Listener {
	l := listen(t)
	servingOn(t, l, s, serverOpts, opts...)
	return l
}

func servingOn(t *testing.T, l net.Listener, s *service, serverOpts []ttrpc.ServerOpt, opts ...grpcttrpc.ServerOption) {
	server, err := ttrpc.NewServer(serverOpts...)
	check(t, err)
	w := &wire{TB: t, name: "ttrpc"}
	serve := func(l net.Listener) error { return server.Serve(bg, l) }
	w.serve(serve, l, grpcttrpc.NewRegistrar(server, opts...), s, func() { server.Close() })
	w.start()
}

func TestDiscardResponseMetadata(t *testing.T) {
	l := serving(t, &service{
		unary: func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			for _, set := range []func(context.Context, metadata.MD) error{grpc.SetHeader, grpc.SetTrailer, grpc.SendHeader} {
				if err := set(ctx, metadata.Pairs("k", "v")); err != nil {
					return nil, err
				}
			}
			return echo(ctx, in)
		},
		full: func(stream fullServer) error {
			stream.SetTrailer(metadata.Pairs("k", "v"))
			return stream.SendHeader(metadata.Pairs("k", "v"))
		},
	}, nil, grpcttrpc.DiscardResponseMetadata())
	client := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(dial(t, l)))
	_, err := client.UnaryCall(bg, request(1))
	check(t, err)
	stream, err := client.FullDuplexCall(bg)
	check(t, err)
	if _, err := stream.Recv(); outcome(err) != "EOF" {
		t.Error(err)
	}
}

// TestUnixCredentials has a handler find who has connected.
func TestUnixCredentials(t *testing.T) {
	l := serving(t, &service{
		unary: func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			p, _ := peer.FromContext(ctx)
			info, ok := p.AuthInfo.(grpcttrpc.AuthInfo)
			return &grpc_testing.SimpleResponse{Username: fmt.Sprint(ok, info.Unix != nil)}, nil
		},
	}, []ttrpc.ServerOpt{ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser())})
	answer, err := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(dial(t, l))).UnaryCall(bg, request(1))
	check(t, err)
	if answer.Username != "true true" {
		t.Errorf("got %s", answer.Username)
	}
}

// TestMetadataOfBoth has a client's metadata of both kinds go out, and none of it go on by itself
// with the calls that the handler makes.
func TestMetadataOfBoth(t *testing.T) {
	next := serving(t, &service{
		unary: func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			return &grpc_testing.SimpleResponse{Username: seen(md)}, nil
		},
	}, nil)
	nextClient := dial(t, next)
	nextConn := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(nextClient))
	l := serving(t, &service{
		unary: func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			answer, err := nextConn.UnaryCall(metadata.AppendToOutgoingContext(ctx, "own", "1"), in)
			if err != nil {
				return nil, err
			}
			plain := new(grpc_testing.SimpleResponse)
			err = nextClient.Call(ctx, grpc_testing.TestService_ServiceDesc.ServiceName, "UnaryCall", in, plain)
			return &grpc_testing.SimpleResponse{Username: seen(md) + "; " + answer.Username + "; " + plain.Username}, err
		},
	}, nil)
	ctx := ttrpc.WithMetadata(bg, ttrpc.MD{"containerd-namespace-ttrpc": {"n"}, "both": {"t"}})
	ctx = metadata.AppendToOutgoingContext(ctx, "both", "g", "authorization", "secret")
	answer, err := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(dial(t, l))).UnaryCall(ctx, request(1))
	check(t, err)
	if want := `authorization=["secret"] both=["t" "g"] containerd-namespace-ttrpc=["n"]; own=["1"]; `; answer.Username != want {
		t.Errorf("got %s, want %s", answer.Username, want)
	}
}

// TestMalformedMetadata comes from a peer that knows nothing of -bin.
func TestMalformedMetadata(t *testing.T) {
	l := serving(t, &service{unary: echo, full: func(fullServer) error { return nil }}, nil)
	client := dial(t, l)
	ctx := ttrpc.WithMetadata(bg, ttrpc.MD{"k-bin": {"no base64!"}})
	err := client.Call(ctx, grpc_testing.TestService_ServiceDesc.ServiceName, "UnaryCall", request(1), new(grpc_testing.SimpleResponse))
	if outcome(err) != "Internal" || !strings.Contains(err.Error(), "k-bin") {
		t.Error(err)
	}
	stream, err := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(client)).FullDuplexCall(ctx)
	check(t, err)
	if _, err := stream.Recv(); outcome(err) != "Internal" {
		t.Error(err)
	}
	ctx = ttrpc.WithMetadata(bg, ttrpc.MD{"k-bin": {"AA=="}}) // which some pad
	check(t, client.Call(ctx, grpc_testing.TestService_ServiceDesc.ServiceName, "UnaryCall", request(1), new(grpc_testing.SimpleResponse)))
}

// TestGRPC has calls go over ttrpc that begin with a *grpc.ClientConn.
func TestGRPC(t *testing.T) {
	l := serving(t, &service{unary: echo, full: func(fullServer) error { return withDetails() }}, nil)
	conn, err := grpcttrpc.NewClientConn(dial(t, l)).GRPC()
	check(t, err)
	defer conn.Close()
	client := grpc_testing.NewTestServiceClient(conn)
	answer, err := client.UnaryCall(bg, request(10))
	if err != nil || len(answer.Payload.Body) != 10 {
		t.Errorf("got %v, %v", answer, err)
	}
	stream, err := client.FullDuplexCall(bg)
	check(t, err)
	if _, err := stream.Recv(); full(err) != full(withDetails()) {
		t.Error(full(err))
	}
	equal(t, conn.Target(), "passthrough:///ttrpc")
	check(t, conn.Close())
	_, err = client.UnaryCall(bg, request(10))
	check(t, err)
}

// TestCauses has a client find what is behind a status.
func TestCauses(t *testing.T) {
	l := serving(t, &service{unary: func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil)
	plain := dial(t, l)
	client := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(plain))
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := client.UnaryCall(ctx, request(1))
	if !errors.Is(err, context.Canceled) || outcome(err) != "Canceled" {
		t.Errorf("cancelled: %v", err)
	}
	if want := "rpc error: code = Canceled desc = context canceled"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	var large *ttrpc.OversizedMessageErr
	if _, err = client.UnaryCall(bg, request(5<<20)); !errors.As(err, &large) || outcome(err) != "ResourceExhausted" {
		t.Errorf("too large: %v", err)
	}
	plain.Close()
	if _, err = client.UnaryCall(bg, request(1)); !errors.Is(err, ttrpc.ErrClosed) || outcome(err) != "Unavailable" {
		t.Errorf("closed: %v", err)
	}
}

// TestOtherKinds has a method called as what it is not.
func TestOtherKinds(t *testing.T) {
	l := serving(t, &service{full: func(stream fullServer) error { return stream.Send(out(1)) }}, nil)
	conn := grpcttrpc.NewClientConn(dial(t, l))
	const method = grpc_testing.TestService_FullDuplexCall_FullMethodName
	if err := conn.Invoke(bg, method, request(1), new(grpc_testing.SimpleResponse)); outcome(err) != "Internal" {
		t.Errorf("called as unary: %v", err)
	}
	stream, err := conn.NewStream(bg, &grpc.StreamDesc{ClientStreams: true}, method)
	check(t, err)
	if err := stream.RecvMsg(new(grpc_testing.SimpleResponse)); outcome(err) != "Internal" {
		t.Errorf("called as a client's stream: %v", err)
	}
}

// TestWaitForReady calls a server that is not there, and then comes.
func TestWaitForReady(t *testing.T) {
	l := listen(t)
	target := l.Addr().String()
	l.Close()
	states := make(chan ttrpc.ConnState, 100)
	client, err := ttrpc.Dial(bg, "unix:"+target, ttrpc.WithBackoff(ttrpc.Backoff{Base: time.Millisecond, Max: 10 * time.Millisecond}),
		ttrpc.WithStateCallback(func(s ttrpc.ConnState, _ error) {
			select {
			case states <- s:
			default: // enough have been told: what is not read would hold up the client's end
			}
		}))
	check(t, err)
	defer client.Close()
	stub := grpc_testing.NewTestServiceClient(grpcttrpc.NewClientConn(client))
	if _, err := stub.UnaryCall(bg, request(1)); outcome(err) != "Unavailable" || !ttrpc.NotSent(err) {
		t.Errorf("without waiting: %v", err)
	}
	if _, err := stub.FullDuplexCall(bg, grpc.WaitForReady(true), grpc.WaitForReady(false)); outcome(err) != "Unavailable" {
		t.Errorf("a stream without waiting: %v", err)
	}
	answered, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := stub.UnaryCall(bg, request(1), grpc.WaitForReady(true))
		answered <- err
	}()
	go func() {
		stream, err := stub.FullDuplexCall(bg, grpc.WaitForReady(true))
		if err == nil {
			_, err = stream.Recv()
		}
		ended <- err
	}()
	for range 10 { // attempts in vain
		wait(t, states)
	}
	again, err := net.Listen("unix", target)
	check(t, err)
	servingOn(t, again, &service{unary: echo, full: func(fullServer) error { return nil }}, nil)
	check(t, wait(t, answered))
	if err := wait(t, ended); outcome(err) != "EOF" {
		t.Errorf("a stream that waited: %v", err)
	}
}
