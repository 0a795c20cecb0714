//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// named is a method that answers with a name: all of them have the same code.
func named(name string) ttrpc.Method {
	return unary(func(context.Context, string) (string, error) { return name, nil })
}

// namedStream is one that sends a name.
func namedStream(name string) ttrpc.Stream {
	return bidi(func(_ context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(text(name)) })
}

// countingChain has each kind of interceptor count what runs under it.
func countingChain(counts map[string]int) []any {
	var mu sync.Mutex // guards counts
	count := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		counts[name]++
	}
	return []any{
		ttrpc.WithUnaryServerInterceptor(func(
			ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method,
		) (any, error) {
			count(info.FullMethod)
			return m(ctx, u)
		}),
		ttrpc.WithStreamServerInterceptor(func(
			ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, h ttrpc.StreamHandler,
		) (any, error) {
			count(fmt.Sprintf("%s %v %v", info.FullMethod, info.StreamingClient, info.StreamingServer))
			return h(ctx, ss)
		}),
	}
}

// The maps of a service stay their owner's: a call finds what is in them when it comes,
// under the interceptors.
func TestMethodsOfAServingServerChange(t *testing.T) {
	desc := &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"m": named("first")}, Streams: map[string]ttrpc.Stream{}}
	counts := map[string]int{}
	r := serve(t, countingChain(counts)...)
	r.RegisterService("changes", desc)
	c := r.client()
	want := func(method, answer string) {
		t.Helper()
		for range 3 {
			out := new(message)
			check(t, c.Call(bg, "changes", method, text("x"), out))
			equal(t, out.Value, answer)
		}
	}
	wantNone := func(method string) {
		t.Helper()
		err := c.Call(bg, "changes", method, text("x"), new(message))
		wantStatus(t, err, codes.Unimplemented, "method "+method)
	}
	want("m", "first")
	wantNone("added")
	desc.Methods["added"] = named("second")
	want("added", "second")
	desc.Methods["m"] = named("third")
	want("m", "third")
	desc.Methods["m"], desc.Methods["added"] = desc.Methods["added"], desc.Methods["m"]
	want("m", "second")
	want("added", "third")
	delete(desc.Methods, "m")
	wantNone("m")
	desc.Streams["m"] = namedStream("fourth")
	wantTexts(t, openOf(t, c, "changes", "m"), "fourth")
	desc.Streams["m"] = namedStream("fifth")
	wantTexts(t, openOf(t, c, "changes", "m"), "fifth")
	desc.Methods["m"] = named("sixth") // before a stream of its name
	want("m", "sixth")
	desc.Methods["m"] = nil // which is none
	wantTexts(t, openOf(t, c, "changes", "m"), "fifth")
	delete(desc.Streams, "m")
	wantNone("m")
	desc.Methods = map[string]ttrpc.Method{"m": named("seventh")} // as a whole
	want("m", "seventh")
	wantNone("added")
	check(t, c.Close())
	r.Close()
	check(t, r.Shutdown(bg))
	equal(t, fmt.Sprint(counts), "map[/changes/added:6 /changes/m:15 /changes/m true true:3]")
}

// A handler keeps what it was made with, also when many take each other's place.
func TestMethodIsReplacedOften(t *testing.T) {
	methods := map[string]ttrpc.Method{}
	r := serve(t)
	r.Register("changes", methods)
	c := r.client()
	for i := range 300 {
		methods["m"] = named(fmt.Sprint(i))
		out := new(message)
		check(t, c.Call(bg, "changes", "m", text("x"), out))
		equal(t, out.Value, fmt.Sprint(i))
	}
}

// What a stream says of its sides changes with it, also where its handler stays.
func TestSidesOfAStreamChange(t *testing.T) {
	stream := namedStream("x")
	stream.Handler = func(context.Context, ttrpc.StreamServer) (any, error) { return text("x"), nil }
	streams := map[string]ttrpc.Stream{"s": stream}
	r := serve(t)
	r.RegisterService("changes", &ttrpc.ServiceDesc{Streams: streams})
	p := r.raw()
	open := func(id uint32) {
		p.send(requestOf(id, 2, &ttrpc.Request{Service: "changes", Method: "s"}))
	}
	open(1)
	p.want(data(1, 1, "x"))
	stream.StreamingServer = false
	streams["s"] = stream
	open(3)
	p.wantAnswer(3, "x")
}
