//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

func TestP17RequestFlagsDecideNothing(t *testing.T) {
	r := serve(t)
	for flags := range byte(8) {
		name := fmt.Sprintf("flags %d/", flags)
		list := requestOf(1, flags, &ttrpc.Request{Service: svc, Method: "list", Payload: encode(text("1"))})
		r.run(t,
			exchange{name + "unary", frames(requestOf(1, flags, &ttrpc.Request{Service: svc, Method: "echo", Payload: encode(text("x"))})),
				frames(answer(1, "x"))},
			exchange{name + "server stream", frames(list), frames(data(1, 0, "0"), closing(1))},
			exchange{name + "both", frames(requestOf(1, flags, &ttrpc.Request{Service: svc, Method: "chat"}), data(1, 0, "a"), closing(1)),
				frames(data(1, 0, "a"), closing(1))},
		)
	}
}

func TestP18RequestMayCarryTheFirstMessage(t *testing.T) {
	r := serve(t)
	chatWith := func(payload []byte) rawFrame {
		return requestOf(1, 2, &ttrpc.Request{Service: svc, Method: "chat", Payload: payload})
	}
	r.run(t,
		exchange{"with", frames(chatWith(encode(text("a"))), data(1, 0, "b"), closing(1)), frames(data(1, 0, "a"), data(1, 0, "b"), closing(1))},
		exchange{"without", frames(chatWith(nil), data(1, 0, "b"), closing(1)), frames(data(1, 0, "b"), closing(1))},
	)
	c, p := rawServer(t, "unix")
	for _, desc := range []*ttrpc.StreamDesc{up, both} {
		open(t, bg, c, desc, "chat", nil)
		f, req := p.recvRequest()
		equal(t, f.flags, 2|4)
		equal(t, len(req.Payload), 0)
		open(t, bg, c, desc, "chat", text("a"))
		f, req = p.recvRequest()
		equal(t, f.flags, 2)
		equal(t, string(req.Payload), string(encode(text("a"))))
	}
	open(t, bg, c, down, "list", text("1"))
	equal(t, p.recv().flags, 1)
	open(t, bg, c, down, "list", nil)
	equal(t, p.recv().flags, 1)
	goCall(bg, c, "echo", "x")
	equal(t, p.recv().flags, 0)
}

// An empty message is a message (P32), also the first of a stream.
func TestP18EmptyFirstMessageIsAMessage(t *testing.T) {
	cs := open(t, bg, serve(t).client(), up, "join", text(""))
	check(t, cs.SendMsg(text("a")))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "[][a]")
}

func TestP19DeadlineTravelsAsTimeLeft(t *testing.T) {
	seen := make(chan string, 1)
	look := func(ctx context.Context) {
		deadline, ok := ctx.Deadline()
		left := time.Until(deadline).Round(time.Hour)
		seen <- fmt.Sprint(ok, " ", left, " ", ctx.Err())
	}
	r := serve(t,
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { look(ctx); return "", nil })),
		withStream("lookStream", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { look(ctx); return nil })))
	p := r.raw()
	id := uint32(1)
	for _, method := range []string{"look", "lookStream"} {
		for timeout, want := range map[time.Duration]string{
			5 * time.Hour: "true 5h0m0s <nil>",
			-1:            "true 0s context deadline exceeded",
			math.MinInt64: "true -2562047h0m0s context deadline exceeded",
		} {
			p.send(requestOf(id, 0, &ttrpc.Request{Service: svc, Method: method, TimeoutNano: int64(timeout)}))
			got := wait(t, seen, "handler")
			if timeout == math.MinInt64 {
				got, want = got[len(got)-len("context deadline exceeded"):], "context deadline exceeded"
			}
			equal(t, got, want)
			p.recv()
			id += 2
		}
		p.send(requestOf(id, 0, &ttrpc.Request{Service: svc, Method: method}))
		if got := wait(t, seen, "handler"); !strings.HasPrefix(got, "false") {
			t.Error("a deadline from nowhere:", got)
		}
		p.recv()
		id += 2
	}

	c, p := rawServer(t, "unix")
	ctx, cancel := context.WithTimeout(bg, time.Hour)
	defer cancel()
	goCall(ctx, c, "look", "")
	_, req := p.recvRequest()
	equal(t, time.Duration(req.TimeoutNano).Round(time.Hour), time.Hour)
	open(t, ctx, c, both, "lookStream", nil)
	_, req = p.recvRequest()
	equal(t, time.Duration(req.TimeoutNano).Round(time.Hour), time.Hour)
	goCall(bg, c, "look", "")
	_, req = p.recvRequest()
	equal(t, req.TimeoutNano, 0)
}

func TestP20MetadataTravelsInTheRequest(t *testing.T) {
	md := ttrpc.MD{"key": {"2", "1", ""}, "Upper": {"x"}, "none": {}, "nil": nil, "": {"empty"}}
	ctx := ttrpc.WithMetadata(bg, md)
	for _, opt := range []ttrpc.ClientOpts{ttrpc.WithUnaryClientInterceptor(nil), ttrpc.WithUnaryClientInterceptor(passOn)} {
		c, p := rawServer(t, "unix", opt)
		goCall(ctx, c, "echo", "x")
		open(t, ctx, c, both, "chat", nil)
		for range 2 {
			_, req := p.recvRequest()
			got := ttrpc.MD{}
			for _, kv := range req.Metadata {
				got[kv.Key] = append(got[kv.Key], kv.Value)
			}
			equal(t, fmt.Sprint(got), fmt.Sprint(ttrpc.MD{"key": {"2", "1", ""}, "Upper": {"x"}, "": {"empty"}}))
		}
	}

	seen := make(chan string, 1)
	look := func(ctx context.Context) {
		md, ok := ttrpc.GetMetadata(ctx)
		value, _ := ttrpc.GetMetadataValue(ctx, "FOO")
		foo, _ := md.Get("Foo")
		seen <- fmt.Sprint(value, foo, len(md), ok)
	}
	p := serve(t,
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { look(ctx); return "", nil })),
		withStream("lookStream", bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { look(ctx); return nil }))).raw()
	for i, method := range []string{"look", "lookStream"} {
		p.send(requestOf(uint32(4*i+1), 0, &ttrpc.Request{Service: svc, Method: method, Metadata: []*ttrpc.KeyValue{
			{Key: "Foo", Value: "1"}, {Key: "other"}, {Key: "foo", Value: "2"}, {Key: "FOO", Value: "3"},
		}}))
		equal(t, wait(t, seen, "handler"), "1[1 2 3] 2 true")
		p.send(requestOf(uint32(4*i+3), 0, &ttrpc.Request{Service: svc, Method: method}))
		equal(t, wait(t, seen, "handler"), "[] 0 false")
	}
}
