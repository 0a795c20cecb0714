//go:build go1.25

package ttrpc_test

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

	"github.com/containerd/ttrpc"
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

func (tr *trace) server(name string) ttrpc.UnaryServerInterceptor {
	return func(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
		tr.add(name + "(" + info.FullMethod + ")")
		defer tr.add("/" + name)
		return m(ctx, u)
	}
}

func (tr *trace) client(name string) ttrpc.UnaryClientInterceptor {
	return func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
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
	one := func(name string) any { return ttrpc.WithUnaryServerInterceptor(tr.server(name)) }
	chain := func(names ...string) any {
		var all []ttrpc.UnaryServerInterceptor
		for _, name := range names {
			all = append(all, tr.server(name))
		}
		return ttrpc.WithChainUnaryServerInterceptor(append(all, nil)...)
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
	one := func(name string) ttrpc.ClientOpts { return ttrpc.WithUnaryClientInterceptor(tr.client(name)) }
	chain := func(names ...string) ttrpc.ClientOpts {
		var all []ttrpc.UnaryClientInterceptor
		for _, name := range names {
			all = append(all, tr.client(name))
		}
		return ttrpc.WithChainUnaryClientInterceptor(append(all, nil)...)
	}
	r := serve(t)
	for _, test := range []struct {
		opts []ttrpc.ClientOpts
		want string
	}{
		{nil, ""},
		{[]ttrpc.ClientOpts{one("a")}, "a() /a"},
		{[]ttrpc.ClientOpts{one("a"), one("b")}, "b() /b"},
		{[]ttrpc.ClientOpts{one("a"), chain("b", "c")}, "a() b() c() /c /b /a"},
		{[]ttrpc.ClientOpts{chain("a", "b"), one("c")}, "c() /c"},
		{[]ttrpc.ClientOpts{chain("a", "b"), chain("c", "d")}, "a() b() c() d() /d /c /b /a"},
		{[]ttrpc.ClientOpts{chain("a"), one("x"), chain("b", "c")}, "x() b() c() /c /b /x"},
		{[]ttrpc.ClientOpts{chain()}, ""},
		{[]ttrpc.ClientOpts{one("a"), ttrpc.WithUnaryClientInterceptor(nil)}, ""},
	} {
		wantEcho(t, r.client(test.opts...))
		equal(t, tr.take(), test.want)
	}
}

// What a client's interceptors see of a call, and what becomes of their changes.
func TestClientInterceptors(t *testing.T) {
	own := errors.New("own error")
	look := unary(func(ctx context.Context, in string) (string, error) {
		md, _ := ttrpc.GetMetadata(ctx)
		_, deadline := ctx.Deadline()
		return fmt.Sprint(in, md, deadline), nil
	})
	for _, test := range []struct {
		name      string
		intercept func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, invoke func() error) error
		want      string // of look, called with x
		fails     string // of fail, called with gone
	}{
		{"nothing", func(_ context.Context, _ *ttrpc.Request, _ *ttrpc.Response, invoke func() error) error {
			return invoke()
		},
			"xmap[k:[1 2]] false <nil>", " rpc error: code = NotFound desc = gone"},
		{"sees", func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, invoke func() error) error {
			ok := req.Service == svc && len(req.Payload) > 0 && req.TimeoutNano == 0 && fmt.Sprint(metadataOf(req)) == "map[k:[1 2]]"
			ok = ok && resp.Status == nil && resp.Payload == nil
			err := invoke()
			ok = ok && err == nil && (resp.Status == nil) == (req.Method == "look") && (resp.Status == nil) == (resp.Payload != nil)
			if !ok {
				return fmt.Errorf("saw %v, %v, %v", req, resp, err)
			}
			return nil
		}, "xmap[k:[1 2]] false <nil>", " rpc error: code = NotFound desc = gone"},
		{"changes the request", func(_ context.Context, req *ttrpc.Request, _ *ttrpc.Response, invoke func() error) error {
			req.Method, req.Payload, req.TimeoutNano = "look", encode(text("y")), 1<<50
			req.Metadata = append(req.Metadata, &ttrpc.KeyValue{Key: "added", Value: "3"})
			return invoke()
		}, "ymap[added:[3] k:[1 2]] true <nil>", "ymap[added:[3] k:[1 2]] true <nil>"},
		{"changes the response", func(_ context.Context, _ *ttrpc.Request, resp *ttrpc.Response, invoke func() error) error {
			err := invoke()
			resp.Status, resp.Payload = nil, encode(text("changed"))
			return err
		}, "changed <nil>", "changed <nil>"},
		{"sets a status", func(_ context.Context, _ *ttrpc.Request, resp *ttrpc.Response, invoke func() error) error {
			err := invoke()
			resp.Status = &spb.Status{Code: int32(codes.DataLoss), Message: "set"}
			return err
		}, "xmap[k:[1 2]] false rpc error: code = DataLoss desc = set", " rpc error: code = DataLoss desc = set"},
		{"answers itself", func(_ context.Context, _ *ttrpc.Request, resp *ttrpc.Response, _ func() error) error {
			resp.Payload = encode(text("own"))
			return nil
		}, "own <nil>", "own <nil>"},
		{"answers nothing", func(context.Context, *ttrpc.Request, *ttrpc.Response, func() error) error { return nil }, " <nil>", " <nil>"},
		{"fails", func(context.Context, *ttrpc.Request, *ttrpc.Response, func() error) error { return own },
			"before own error", "before own error"},
		{"calls twice", func(_ context.Context, _ *ttrpc.Request, resp *ttrpc.Response, invoke func() error) error {
			return errors.Join(invoke(), invoke())
		}, "xmap[k:[1 2]] false <nil>", " rpc error: code = NotFound desc = gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			interceptor := func(
				ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker,
			) error {
				return test.intercept(ctx, req, resp, func() error { return invoke(ctx, req, resp) })
			}
			c := serve(t, withMethod("look", look)).client(ttrpc.WithUnaryClientInterceptor(interceptor))
			ctx := ttrpc.WithMetadata(bg, ttrpc.MD{"k": {"1", "2"}})
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
	c := serve(t).client(ttrpc.WithUnaryClientInterceptor(
		func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
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
	// No interceptor sees this one.
	equal(t, c.Call(bg, svc, "echo", nil, new(message)).Error(), "ttrpc: cannot marshal unknown type: <nil>")
	check(t, c.Close())
	_, err = call(bg, c, "echo", "")
	wantExactly(t, err, ttrpc.ErrClosed)
	equal(t, fmt.Sprint(seen), "[<nil> context canceled ttrpc: closed]")
}

// An interceptor's own context is what the call ends with, and what its Request says goes out.
func TestClientInterceptorsChangeTheContext(t *testing.T) {
	ended, _ := rawServer(t, "unix", ttrpc.WithUnaryClientInterceptor(
		func(_ context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			ctx, cancel := context.WithCancel(ttrpc.WithMetadata(bg, ttrpc.MD{"other": {"x"}}))
			cancel()
			return invoke(ctx, req, resp)
		}))
	_, err := call(ttrpc.WithMetadata(bg, ttrpc.MD{"k": {"v"}}), ended, "echo", "x")
	wantExactly(t, err, context.Canceled)
	c, p := rawServer(t, "unix", ttrpc.WithUnaryClientInterceptor(
		func(_ context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker) error {
			return invoke(ttrpc.WithMetadata(bg, ttrpc.MD{"other": {"x"}}), req, resp)
		}))
	goCall(ttrpc.WithMetadata(bg, ttrpc.MD{"k": {"v"}}), c, "echo", "x")
	_, req := p.recvRequest()
	equal(t, fmt.Sprint(metadataOf(req)), "map[k:[v]]")
}

// What a server's interceptors may do.
func TestServerInterceptors(t *testing.T) {
	own := errors.New("own error")
	for _, test := range []struct {
		name        string
		intercept   ttrpc.UnaryServerInterceptor
		want, fails string
	}{
		{"unmarshals first", func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			in := text("used")
			if err := u(in); err != nil || in.Value == "used" {
				return nil, fmt.Errorf("unmarshalled %v, %w", in, err)
			}
			return m(ctx, u)
		}, "x <nil>", " rpc error: code = NotFound desc = x"},
		{"replaces the message", func(ctx context.Context, _ ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			return m(ctx, func(in any) error { in.(*message).Value = "y"; return nil })
		}, "y <nil>", " rpc error: code = NotFound desc = y"},
		{"fails to unmarshal", func(ctx context.Context, _ ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			return m(ctx, func(any) error { return own })
		}, " rpc error: code = Unknown desc = own error", " rpc error: code = Unknown desc = own error"},
		{"answers another", func(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
			return text("z"), nil
		},
			"z <nil>", "z <nil>"},
		{"answers nil", func(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
			return nil, nil
		},
			" rpc error: code = Unknown desc = ttrpc: marshal called with nil: /test.Service/echo returned neither a message nor an error",
			" rpc error: code = Unknown desc = ttrpc: marshal called with nil: /test.Service/fail returned neither a message nor an error"},
		{"fails", func(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
			return nil, own
		},
			" rpc error: code = Unknown desc = own error", " rpc error: code = Unknown desc = own error"},
		{"heals", func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			if _, err := m(ctx, u); err != nil {
				return text("healed"), nil
			}
			return text("healthy"), nil
		}, "healthy <nil>", "healed <nil>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, ttrpc.WithUnaryServerInterceptor(test.intercept)).client()
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
	c := serve(t, ttrpc.WithUnaryServerInterceptor(tr.server("a"))).client()
	_, err := call(bg, c, "none", "")
	wantStatus(t, err, codes.Unimplemented, "method none")
	wantTexts(t, open(t, bg, c, down, "list", text("1")), "0")
	equal(t, tr.take(), "")
}

// An unmarshal that is kept and called once the method has returned is an error, not a read of
// another's request.
func TestLateUnmarshal(t *testing.T) {
	kept := make(chan ttrpc.Unmarshaler, 1)
	c := serve(t, ttrpc.WithUnaryServerInterceptor(
		func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
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
	ttrpc.ClientStream
	sent *int
}

func (w wrapped) SendMsg(m any) error { *w.sent++; return w.ClientStream.SendMsg(m) }

type wrappedServer struct {
	ttrpc.StreamServer
	received *atomic.Int32
}

func (w wrappedServer) RecvMsg(m any) error { w.received.Add(1); return w.StreamServer.RecvMsg(m) }

// Interceptors of streams may wrap them, change what opens them, and refuse.
func TestStreamInterceptors(t *testing.T) {
	sent := 0
	var received atomic.Int32
	own := errors.New("own error")
	r := serve(t,
		ttrpc.WithStreamServerInterceptor(func(
			ctx context.Context, ss ttrpc.StreamServer, info *ttrpc.StreamServerInfo, h ttrpc.StreamHandler,
		) (any, error) {
			if info.FullMethod == "/"+svc+"/mute" {
				return nil, own
			}
			return h(ctx, wrappedServer{ss, &received})
		}),
		ttrpc.WithClientStreamInterceptor(func(
			ctx context.Context, desc *ttrpc.StreamDesc, service, method string, req any, open ttrpc.Streamer,
		) (ttrpc.ClientStream, error) {
			if method == "refused" {
				return nil, own
			}
			cs, err := open(ttrpc.WithMetadata(ctx, ttrpc.MD{"k": {"v"}}), desc, service, strings.TrimPrefix(method, "my-"), req)
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
func metadataOf(req *ttrpc.Request) ttrpc.MD {
	md := ttrpc.MD{}
	for _, kv := range req.Metadata {
		md[kv.Key] = append(md[kv.Key], kv.Value)
	}
	return md
}
