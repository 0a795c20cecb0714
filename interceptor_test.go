//go:build go1.25

package ttrpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// trace is a list of what interceptors have seen.
type trace struct {
	mu   sync.Mutex // guards seen
	seen []string
}

func (tr *trace) add(s string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.seen = append(tr.seen, s)
}

func (tr *trace) server(name string) UnaryServerInterceptor {
	return func(ctx context.Context, u Unmarshaler, info *UnaryServerInfo, m Method) (any, error) {
		tr.add(name + "(" + info.FullMethod + ")")
		defer tr.add("/" + name)
		return m(ctx, u)
	}
}

func (tr *trace) client(name string) UnaryClientInterceptor {
	return func(ctx context.Context, req *Request, resp *Response, info *UnaryClientInfo, invoke Invoker) error {
		tr.add(name + "(" + info.FullMethod + ")")
		defer tr.add("/" + name)
		return invoke(ctx, req, resp)
	}
}

// take returns what was seen, without the method's name, and forgets it.
func (tr *trace) take() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	defer func() { tr.seen = nil }()
	return strings.ReplaceAll(strings.Join(tr.seen, " "), "(/"+svc+"/echo)", "()")
}

func TestOrderOfServerInterceptors(t *testing.T) {
	var tr trace
	one := func(name string) any { return WithUnaryServerInterceptor(tr.server(name)) }
	chain := func(names ...string) any {
		var all []UnaryServerInterceptor
		for _, name := range names {
			all = append(all, tr.server(name))
		}
		return WithChainUnaryServerInterceptor(append(all, nil)...)
	}
	for _, test := range []struct {
		opts []any
		want string
	}{
		{nil, ""},
		{[]any{one("a")}, "a() /a"},
		{[]any{chain("a", "b", "c")}, "a() b() c() /c /b /a"},
		{[]any{one("a"), chain("b", "c")}, "a() b() c() /c /b /a"},
		{[]any{chain("a", "b"), chain("c")}, "a() b() c() /c /b /a"},
		{[]any{chain(), one("a")}, "a() /a"},
	} {
		wantEcho(t, serve(t, test.opts...).client())
		equal(t, tr.take(), test.want)
	}
}

func TestOrderOfClientInterceptors(t *testing.T) {
	var tr trace
	one := func(name string) ClientOpts { return WithUnaryClientInterceptor(tr.client(name)) }
	chain := func(names ...string) ClientOpts {
		var all []UnaryClientInterceptor
		for _, name := range names {
			all = append(all, tr.client(name))
		}
		return WithChainUnaryClientInterceptor(append(all, nil)...)
	}
	r := serve(t)
	for _, test := range []struct {
		opts []ClientOpts
		want string
	}{
		{nil, ""},
		{[]ClientOpts{one("a")}, "a() /a"},
		{[]ClientOpts{one("a"), one("b")}, "b() /b"},
		{[]ClientOpts{one("a"), chain("b", "c")}, "a() b() c() /c /b /a"},
		{[]ClientOpts{chain("a", "b"), one("c")}, "c() /c"},
		{[]ClientOpts{chain("a", "b"), chain("c", "d")}, "a() b() c() d() /d /c /b /a"},
		{[]ClientOpts{chain("a"), one("x"), chain("b", "c")}, "x() b() c() /c /b /x"},
		{[]ClientOpts{chain()}, ""},
		{[]ClientOpts{one("a"), WithUnaryClientInterceptor(nil)}, ""},
	} {
		wantEcho(t, r.client(test.opts...))
		equal(t, tr.take(), test.want)
	}
}

// What a client's interceptors see of a call, and what becomes of their changes.
func TestClientInterceptors(t *testing.T) {
	own := errors.New("own error")
	look := unary(func(ctx context.Context, in string) (string, error) {
		md, _ := GetMetadata(ctx)
		_, deadline := ctx.Deadline()
		return fmt.Sprint(in, md, deadline), nil
	})
	for _, test := range []struct {
		name      string
		intercept func(ctx context.Context, req *Request, resp *Response, invoke func() error) error
		want      string // of look, called with x
		fails     string // of fail, called with gone
	}{
		{"nothing", func(_ context.Context, _ *Request, _ *Response, invoke func() error) error { return invoke() },
			"xmap[k:[1 2]] false <nil>", " rpc error: code = NotFound desc = gone"},
		{"sees", func(ctx context.Context, req *Request, resp *Response, invoke func() error) error {
			ok := req.Service == svc && len(req.Payload) > 0 && req.TimeoutNano == 0 && fmt.Sprint(metadataOf(req)) == "map[k:[1 2]]"
			ok = ok && resp.Status == nil && resp.Payload == nil
			err := invoke()
			ok = ok && err == nil && (resp.Status == nil) == (req.Method == "look") && (resp.Status == nil) == (resp.Payload != nil)
			if !ok {
				return fmt.Errorf("saw %v, %v, %v", req, resp, err)
			}
			return nil
		}, "xmap[k:[1 2]] false <nil>", " rpc error: code = NotFound desc = gone"},
		{"changes the request", func(_ context.Context, req *Request, _ *Response, invoke func() error) error {
			req.Method, req.Payload, req.TimeoutNano = "look", encode(text("y")), 1<<50
			req.Metadata = append(req.Metadata, &KeyValue{Key: "added", Value: "3"})
			return invoke()
		}, "ymap[added:[3] k:[1 2]] true <nil>", "ymap[added:[3] k:[1 2]] true <nil>"},
		{"changes the response", func(_ context.Context, _ *Request, resp *Response, invoke func() error) error {
			err := invoke()
			resp.Status, resp.Payload = nil, encode(text("changed"))
			return err
		}, "changed <nil>", "changed <nil>"},
		{"sets a status", func(_ context.Context, _ *Request, resp *Response, invoke func() error) error {
			err := invoke()
			resp.Status = &spb.Status{Code: int32(codes.DataLoss), Message: "set"}
			return err
		}, "xmap[k:[1 2]] false rpc error: code = DataLoss desc = set", " rpc error: code = DataLoss desc = set"},
		{"answers itself", func(_ context.Context, _ *Request, resp *Response, _ func() error) error {
			resp.Payload = encode(text("own"))
			return nil
		}, "own <nil>", "own <nil>"},
		{"answers nothing", func(context.Context, *Request, *Response, func() error) error { return nil }, " <nil>", " <nil>"},
		{"fails", func(context.Context, *Request, *Response, func() error) error { return own }, "before own error", "before own error"},
		{"calls twice", func(_ context.Context, _ *Request, resp *Response, invoke func() error) error {
			return errors.Join(invoke(), invoke())
		}, "xmap[k:[1 2]] false <nil>", " rpc error: code = NotFound desc = gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			interceptor := func(ctx context.Context, req *Request, resp *Response, _ *UnaryClientInfo, invoke Invoker) error {
				return test.intercept(ctx, req, resp, func() error { return invoke(ctx, req, resp) })
			}
			c := serve(t, withMethod("look", look)).client(WithUnaryClientInterceptor(interceptor))
			ctx := WithMetadata(bg, MD{"k": {"1", "2"}})
			out := text("before")
			err := c.Call(ctx, svc, "look", text("x"), out)
			equal(t, fmt.Sprint(out.Value, " ", err), test.want)
			out = text("before")
			err = c.Call(ctx, svc, "fail", text("gone"), out)
			equal(t, fmt.Sprint(out.Value, " ", err), test.fails)
		})
	}
}

// Errors that are no statuses come back through the chain as they are.
func TestClientInterceptorsSeeErrors(t *testing.T) {
	var seen []error
	c := serve(t).client(WithUnaryClientInterceptor(func(ctx context.Context, req *Request, resp *Response, _ *UnaryClientInfo, invoke Invoker) error {
		err := invoke(ctx, req, resp)
		seen = append(seen, err)
		return err
	}))
	_, err := call(bg, c, "none", "")
	wantStatus(t, err, codes.Unimplemented, "method none")
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	_, err = call(cancelled, c, "echo", "")
	wantExactly(t, err, context.Canceled)
	equal(t, c.Call(bg, svc, "echo", nil, new(message)).Error(), "ttrpc: cannot marshal unknown type: <nil>") // which nobody sees
	check(t, c.Close())
	_, err = call(bg, c, "echo", "")
	wantExactly(t, err, ErrClosed)
	equal(t, fmt.Sprint(seen), "[<nil> context canceled ttrpc: closed]")
}

// An interceptor's own context is what the call ends with, and what its Request says goes out.
func TestClientInterceptorsChangeTheContext(t *testing.T) {
	ended, _ := rawServer(t, "unix", WithUnaryClientInterceptor(func(_ context.Context, req *Request, resp *Response, _ *UnaryClientInfo, invoke Invoker) error {
		ctx, cancel := context.WithCancel(WithMetadata(bg, MD{"other": {"x"}}))
		cancel()
		return invoke(ctx, req, resp)
	}))
	_, err := call(WithMetadata(bg, MD{"k": {"v"}}), ended, "echo", "x")
	wantExactly(t, err, context.Canceled)
	c, p := rawServer(t, "unix", WithUnaryClientInterceptor(func(_ context.Context, req *Request, resp *Response, _ *UnaryClientInfo, invoke Invoker) error {
		return invoke(WithMetadata(bg, MD{"other": {"x"}}), req, resp)
	}))
	goCall(WithMetadata(bg, MD{"k": {"v"}}), c, "echo", "x")
	_, req := p.recvRequest()
	equal(t, fmt.Sprint(metadataOf(req)), "map[k:[v]]")
}

// What a server's interceptors may do.
func TestServerInterceptors(t *testing.T) {
	own := errors.New("own error")
	for _, test := range []struct {
		name        string
		intercept   UnaryServerInterceptor
		want, fails string
	}{
		{"unmarshals first", func(ctx context.Context, u Unmarshaler, _ *UnaryServerInfo, m Method) (any, error) {
			in := text("used")
			if err := u(in); err != nil || in.Value == "used" {
				return nil, fmt.Errorf("unmarshalled %v, %w", in, err)
			}
			return m(ctx, u)
		}, "x <nil>", " rpc error: code = NotFound desc = x"},
		{"replaces the message", func(ctx context.Context, _ Unmarshaler, _ *UnaryServerInfo, m Method) (any, error) {
			return m(ctx, func(in any) error { in.(*message).Value = "y"; return nil })
		}, "y <nil>", " rpc error: code = NotFound desc = y"},
		{"fails to unmarshal", func(ctx context.Context, _ Unmarshaler, _ *UnaryServerInfo, m Method) (any, error) {
			return m(ctx, func(any) error { return own })
		}, " rpc error: code = Unknown desc = own error", " rpc error: code = Unknown desc = own error"},
		{"answers another", func(context.Context, Unmarshaler, *UnaryServerInfo, Method) (any, error) { return text("z"), nil },
			"z <nil>", "z <nil>"},
		{"answers nil", func(context.Context, Unmarshaler, *UnaryServerInfo, Method) (any, error) { return nil, nil },
			" rpc error: code = Unknown desc = ttrpc: marshal called with nil", " rpc error: code = Unknown desc = ttrpc: marshal called with nil"},
		{"fails", func(context.Context, Unmarshaler, *UnaryServerInfo, Method) (any, error) { return nil, own },
			" rpc error: code = Unknown desc = own error", " rpc error: code = Unknown desc = own error"},
		{"heals", func(ctx context.Context, u Unmarshaler, _ *UnaryServerInfo, m Method) (any, error) {
			if _, err := m(ctx, u); err != nil {
				return text("healed"), nil
			}
			return text("healthy"), nil
		}, "healthy <nil>", "healed <nil>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, WithUnaryServerInterceptor(test.intercept)).client()
			out, err := call(bg, c, "echo", "x")
			equal(t, fmt.Sprint(out, " ", err), test.want)
			out, err = call(bg, c, "fail", "x")
			equal(t, fmt.Sprint(out, " ", err), test.fails)
		})
	}
}

// Unary interceptors see neither unknown methods nor streams.
func TestServerInterceptorsAreForMethods(t *testing.T) {
	var tr trace
	c := serve(t, WithUnaryServerInterceptor(tr.server("a"))).client()
	_, err := call(bg, c, "none", "")
	wantStatus(t, err, codes.Unimplemented, "method none")
	wantTexts(t, open(t, bg, c, down, "list", text("1")), "0")
	equal(t, tr.take(), "")
}

// An unmarshal that is kept and called once the method has returned is an error, not a read of another's request.
func TestLateUnmarshal(t *testing.T) {
	kept := make(chan Unmarshaler, 1)
	c := serve(t, WithUnaryServerInterceptor(func(ctx context.Context, u Unmarshaler, _ *UnaryServerInfo, m Method) (any, error) {
		select {
		case kept <- u:
		default:
		}
		return m(ctx, u)
	})).client()
	wantEcho(t, c)
	late := <-kept
	for range 100 {
		wantEcho(t, c)
		equal(t, late(new(message)).Error(), "ttrpc: unmarshal called after the method returned")
	}
}

// wrapped counts the messages of a stream.
type wrapped struct {
	ClientStream
	sent *int
}

func (w wrapped) SendMsg(m any) error { *w.sent++; return w.ClientStream.SendMsg(m) }

type wrappedServer struct {
	StreamServer
	received *atomic.Int32
}

func (w wrappedServer) RecvMsg(m any) error { w.received.Add(1); return w.StreamServer.RecvMsg(m) }

// Interceptors of streams may wrap them, change what opens them, and refuse.
func TestStreamInterceptors(t *testing.T) {
	sent := 0
	var received atomic.Int32
	own := errors.New("own error")
	r := serve(t,
		WithStreamServerInterceptor(func(ctx context.Context, ss StreamServer, info *StreamServerInfo, h StreamHandler) (any, error) {
			if info.FullMethod == "/"+svc+"/mute" {
				return nil, own
			}
			return h(ctx, wrappedServer{ss, &received})
		}),
		WithClientStreamInterceptor(func(ctx context.Context, desc *StreamDesc, service, method string, req any, open Streamer) (ClientStream, error) {
			if method == "refused" {
				return nil, own
			}
			cs, err := open(WithMetadata(ctx, MD{"k": {"v"}}), desc, service, strings.TrimPrefix(method, "my-"), req)
			return wrapped{cs, &sent}, err
		}))
	c := r.client()
	cs := open(t, bg, c, both, "my-chat", nil)
	check(t, cs.SendMsg(text("a")))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "a")
	equal(t, sent, 1)
	equal(t, received.Load(), 2)
	_, err := recvText(open(t, bg, c, both, "mute", nil))
	wantStatus(t, err, codes.Unknown, "own error")
	_, err = c.NewStream(bg, both, svc, "refused", nil)
	wantExactly(t, err, own)
}

// metadataOf collects the metadata of a Request, its keys as they are.
func metadataOf(req *Request) MD {
	md := MD{}
	for _, kv := range req.Metadata {
		md[kv.Key] = append(md[kv.Key], kv.Value)
	}
	return md
}
