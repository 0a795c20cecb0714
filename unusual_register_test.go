//go:build go1.25

package ttrpc_test

import (
	"context"
	"testing"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// uxSaying is a method that answers with a text.
func uxSaying(text string) ttrpc.Method {
	return uxUnary(func(context.Context, string) (string, error) { return text, nil })
}

// uxSayingStream is a stream of which the server sends a text.
func uxSayingStream(text string) ttrpc.Stream {
	return ttrpc.Stream{StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := ss.RecvMsg(in); err != nil {
			return nil, err
		}
		return nil, ss.SendMsg(uxText(text))
	}}
}

// uxPipeClient is a client of a server that serves for the test alone.
func uxPipeClient(t *testing.T, server *ttrpc.Server) *ttrpc.Client {
	t.Helper()
	l := newUxPipes()
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(context.Background(), l) }()
	client := ttrpc.NewClient(l.dial())
	t.Cleanup(func() { client.Close(); server.Close(); <-served })
	return client
}

func uxWantSaid(t *testing.T, c *ttrpc.Client, method, want string) {
	t.Helper()
	if got, err := uxCall(context.Background(), c, method, ""); got != want || err != nil {
		t.Errorf("%s: got %q, %v, want %q", method, got, err, want)
	}
}

func uxWantCode(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if st, ok := status.FromError(err); !ok || st.Code() != code || st.Message() != text {
		t.Errorf("got %v, want %v %q", err, code, text)
	}
}

// uxWantStream opens a stream of the server's and wants a text.
func uxWantStream(t *testing.T, c *ttrpc.Client, name, want string) {
	t.Helper()
	got, err := uxStreamSays(c, name)
	if got != want || err != nil {
		t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
	}
}

func uxStreamSays(c *ttrpc.Client, name string) (string, error) {
	cs, err := c.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true}, uxService, name, uxText(""))
	if err != nil {
		return "", err
	}
	out := new(wrapperspb.StringValue)
	err = cs.RecvMsg(out)
	return out.Value, err
}

// uxRegistrations are the two ways to register methods, with and without interceptors.
func uxRegistrations(t *testing.T, test func(t *testing.T, register func(map[string]ttrpc.Method) *ttrpc.Server)) {
	calls := 0
	intercept := func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
		calls++
		return m(ctx, u)
	}
	for name, opts := range map[string][]ttrpc.ServerOpt{
		"plain":       nil,
		"interceptor": {ttrpc.WithUnaryServerInterceptor(intercept)},
		"chain":       {ttrpc.WithChainUnaryServerInterceptor(intercept, intercept)},
	} {
		for way, register := range map[string]func(*ttrpc.Server, map[string]ttrpc.Method){
			"Register": func(s *ttrpc.Server, m map[string]ttrpc.Method) { s.Register(uxService, m) },
			"RegisterService": func(s *ttrpc.Server, m map[string]ttrpc.Method) {
				s.RegisterService(uxService, &ttrpc.ServiceDesc{Methods: m})
			},
		} {
			t.Run(way+"/"+name, func(t *testing.T) {
				calls = 0
				test(t, func(methods map[string]ttrpc.Method) *ttrpc.Server {
					server, err := ttrpc.NewServer(opts...)
					uxCheck(t, err)
					register(server, methods)
					return server
				})
				if want := name != "plain"; calls > 0 != want {
					t.Errorf("the interceptor has run %d times", calls)
				}
			})
		}
	}
}

// The server looks into the map when a method is called: it may change after Register, as long as
// nobody calls.
func TestMethodsAddedAfterRegister(t *testing.T) {
	uxRegistrations(t, func(t *testing.T, register func(map[string]ttrpc.Method) *ttrpc.Server) {
		methods := map[string]ttrpc.Method{"first": uxSaying("1")}
		client := uxPipeClient(t, register(methods))
		methods["early"] = uxSaying("2")
		uxWantSaid(t, client, "first", "1")
		uxWantSaid(t, client, "early", "2")
		methods["late"] = uxSaying("3")
		uxWantSaid(t, client, "late", "3")
		uxWantSaid(t, client, "first", "1")
	})
}

func TestMethodsAddedToEmptyMap(t *testing.T) {
	uxRegistrations(t, func(t *testing.T, register func(map[string]ttrpc.Method) *ttrpc.Server) {
		methods := map[string]ttrpc.Method{}
		client := uxPipeClient(t, register(methods))
		methods["late"] = uxSaying("1")
		uxWantSaid(t, client, "late", "1")
	})
}

func TestMethodsReplacedAfterRegister(t *testing.T) {
	uxRegistrations(t, func(t *testing.T, register func(map[string]ttrpc.Method) *ttrpc.Server) {
		methods := map[string]ttrpc.Method{"m": uxSaying("1")}
		client := uxPipeClient(t, register(methods))
		for _, text := range []string{"2", "3"} {
			methods["m"] = uxSaying(text)
			for range 3 {
				uxWantSaid(t, client, "m", text)
			}
		}
	})
}

func TestMethodsRemovedAfterRegister(t *testing.T) {
	uxRegistrations(t, func(t *testing.T, register func(map[string]ttrpc.Method) *ttrpc.Server) {
		methods := map[string]ttrpc.Method{"m": uxSaying("1"), "n": uxSaying("2")}
		client := uxPipeClient(t, register(methods))
		uxWantSaid(t, client, "m", "1")
		delete(methods, "m")
		_, err := uxCall(context.Background(), client, "m", "")
		uxWantCode(t, err, codes.Unimplemented, "method m")
		uxWantSaid(t, client, "n", "2")
	})
}

// The map of streams is looked into likewise, and so are the fields of the desc that was
// registered.
func TestStreamsChangedAfterRegisterService(t *testing.T) {
	server, err := ttrpc.NewServer()
	uxCheck(t, err)
	streams := map[string]ttrpc.Stream{"replaced": uxSayingStream("1"), "removed": uxSayingStream("2")}
	server.RegisterService(uxService, &ttrpc.ServiceDesc{Streams: streams})
	client := uxPipeClient(t, server)
	uxWantStream(t, client, "replaced", "1")
	uxWantStream(t, client, "removed", "2")
	streams["replaced"], streams["added"] = uxSayingStream("3"), uxSayingStream("4")
	delete(streams, "removed")
	uxWantStream(t, client, "replaced", "3")
	uxWantStream(t, client, "added", "4")
	_, err = uxStreamSays(client, "removed")
	uxWantCode(t, err, codes.Unimplemented, "method removed")
}

func TestMapsSetAfterRegisterService(t *testing.T) {
	server, err := ttrpc.NewServer()
	uxCheck(t, err)
	desc := &ttrpc.ServiceDesc{}
	server.RegisterService(uxService, desc)
	client := uxPipeClient(t, server)
	desc.Methods = map[string]ttrpc.Method{"m": uxSaying("1")}
	desc.Streams = map[string]ttrpc.Stream{"s": uxSayingStream("2")}
	uxWantSaid(t, client, "m", "1")
	uxWantStream(t, client, "s", "2")
}
