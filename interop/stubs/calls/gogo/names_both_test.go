// Code generated from package google by go test -update. DO NOT EDIT.

package gogo

import (
	"context"
	"fmt"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/stubs/gen/gogo/names"
	"github.com/containerd/ttrpc/interop/stubs/gen/gogo/spelling"
)

// speller answers with the name of the method that ran. Of a method that the two generators spell
// differently it has both spellings.
type speller struct{ spelling.SpellingService }

func said(name string) (*spelling.LowReply, error) { return &spelling.LowReply{Text: name}, nil }

func (speller) GetFoo(context.Context, *spelling.Request) (*spelling.LowReply, error) {
	return said("get_foo")
}

func (speller) GetBar(context.Context, *spelling.Request) (*spelling.LowReply, error) {
	return said("getBar")
}

func (speller) FooBaz(context.Context, *spelling.Request) (*spelling.LowReply, error) {
	return said("Foo_baz")
}

func (speller) Foo_baz(context.Context, *spelling.Request) (*spelling.LowReply, error) {
	return said("Foo_baz")
}

func (speller) Kept_Name(context.Context, *spelling.Request) (*spelling.LowReply, error) {
	return said("Kept_Name")
}

func (speller) WatchAll(_ context.Context, _ *spelling.Request, stream spelling.Spelling_WatchAllServer) error {
	return stream.Send(&spelling.LowReply{Text: "watch_all"})
}

func (speller) SendAll(context.Context, spelling.Spelling_SendAllServer) (*spelling.LowReply, error) {
	return said("sendAll")
}

// TestBothSpellings calls every name that a client of some generator or language may use.
func TestBothSpellings(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) { spelling.RegisterSpellingService(s, speller{}) })
	for method, want := range map[string]string{
		"get_foo": "get_foo", "GetFoo": "get_foo",
		"getBar": "getBar", "GetBar": "getBar",
		"Foo_baz": "Foo_baz", "FooBaz": "Foo_baz",
		"Kept_Name": "Kept_Name",
	} {
		reply := new(spelling.LowReply)
		err := client.Call(limit(t), "stubs.spelling.Spelling", method, &spelling.Request{}, reply)
		if err != nil || reply.Text != want {
			t.Errorf("%s: %q, %v, want %q", method, reply.Text, err, want)
		}
	}
	for _, method := range []string{"watch_all", "WatchAll"} {
		desc := &ttrpc.StreamDesc{StreamingServer: true}
		stream, err := client.NewStream(limit(t), desc, "stubs.spelling.Spelling", method, &spelling.Request{})
		must(t, err)
		reply := new(spelling.LowReply)
		if err := stream.RecvMsg(reply); err != nil || reply.Text != "watch_all" {
			t.Errorf("%s: %q, %v", method, reply.Text, err)
		}
	}
}

// TestClientsSpelling calls servers that know one name only: gogo servers and other languages a
// unary method's .proto name, protoc-gen-go-ttrpc's servers up to v1.2.10 a stream's name in Go.
func TestClientsSpelling(t *testing.T) {
	unary := func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		return &spelling.LowReply{Text: "found"}, unmarshal(new(spelling.Request))
	}
	stream := func(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
		return nil, stream.SendMsg(&spelling.LowReply{Text: "found"})
	}
	client := spelling.NewSpellingClient(serve(t, func(s *ttrpc.Server) {
		s.RegisterService("stubs.spelling.Spelling", &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"get_foo": unary, "getBar": unary},
			Streams: map[string]ttrpc.Stream{"WatchAll": {Handler: stream, StreamingServer: true}},
		})
	}))
	for _, call := range []func(context.Context, *spelling.Request) (*spelling.LowReply, error){client.GetFoo, client.GetBar} {
		reply, err := call(limit(t), &spelling.Request{})
		must(t, err)
		if reply.Text != "found" {
			t.Error(reply)
		}
	}
	watch, err := client.WatchAll(limit(t), &spelling.Request{})
	must(t, err)
	reply, err := watch.Recv()
	must(t, err)
	if reply.Text != "found" {
		t.Error(reply)
	}
}

type twins struct{}

func named(name string) (*names.LowReply, error) { return &names.LowReply{Text: name}, nil }

func (twins) GetFoo_(context.Context, *names.Request) (*names.LowReply, error) {
	return named("get_foo")
}

func (twins) GetFoo(context.Context, *names.Request) (*names.LowReply, error) { return named("GetFoo") }

func (twins) GetAll_(_ context.Context, _ *names.Request, stream names.Twins_GetAll_Server) error {
	return stream.Send(&names.LowReply{Text: "get_all"})
}

func (twins) GetAll(_ context.Context, _ *names.Request, stream names.Twins_GetAllServer) error {
	return stream.Send(&names.LowReply{Text: "GetAll"})
}

// TestTwins: methods get_foo and GetFoo of one service are two methods.
func TestTwins(t *testing.T) {
	client := names.NewTwinsClient(serve(t, func(s *ttrpc.Server) { names.RegisterTwinsService(s, twins{}) }))
	lower, err := client.GetFoo_(limit(t), &names.Request{})
	must(t, err)
	upper, err := client.GetFoo(limit(t), &names.Request{})
	must(t, err)
	lowerStream, err := client.GetAll_(limit(t), &names.Request{})
	must(t, err)
	lowerAll, err := lowerStream.Recv()
	must(t, err)
	upperStream, err := client.GetAll(limit(t), &names.Request{})
	must(t, err)
	upperAll, err := upperStream.Recv()
	must(t, err)
	got := fmt.Sprint(lower.Text, " ", upper.Text, " ", lowerAll.Text, " ", upperAll.Text)
	if got != "get_foo GetFoo get_all GetAll" {
		t.Error(got)
	}
}

type words struct{}

func (words) Type(context.Context, *names.Request) (*names.LowReply, error)   { return named("type") }
func (words) Client(context.Context, *names.Request) (*names.LowReply, error) { return named("client") }
func (words) Error(context.Context, *names.Request) (*names.LowReply, error)  { return named("error") }

func TestWords(t *testing.T) {
	client := names.NewWordsClient(serve(t, func(s *ttrpc.Server) { names.RegisterWordsService(s, words{}) }))
	for want, call := range map[string]func(context.Context, *names.Request) (*names.LowReply, error){
		"type": client.Type, "client": client.Client, "error": client.Error,
	} {
		reply, err := call(limit(t), &names.Request{})
		if err != nil || reply.Text != want {
			t.Errorf("%s: %v, %v", want, reply, err)
		}
	}
}

// asker serves every service that has one method, Ask.
type asker string

func (a asker) Ask(context.Context, *names.Request) (*names.LowReply, error) { return named(string(a)) }

func TestSimilarServices(t *testing.T) {
	client := serve(t, func(s *ttrpc.Server) {
		names.RegisterFooBarService(s, asker("FooBar"))
		names.RegisterFoobarService(s, asker("Foobar"))
		names.RegisterTaken_Service(s, asker("Taken"))
	})
	for want, service := range map[string]names.FooBarService{
		"FooBar": names.NewFooBarClient(client),
		"Foobar": names.NewFoobarClient(client),
		"Taken":  names.NewTaken_Client(client),
	} {
		reply, err := service.Ask(limit(t), &names.Request{})
		if err != nil || reply.Text != want {
			t.Errorf("%s: %v, %v", want, reply, err)
		}
	}
}
