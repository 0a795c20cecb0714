package main

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// lookMethod answers with what a handler sees of its call.
func lookMethod(ctx context.Context, unmarshal func(any) error) (any, error) {
	var req wrapperspb.StringValue
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	_, deadline := ctx.Deadline()
	md, _ := ttrpc.GetMetadata(ctx)
	return text(fmt.Sprintf("%s, metadata %s, deadline %t", req.Value, show(md), deadline)), nil
}

// around makes one call of method "look" through a client interceptor.
func around(r *report, what string, ctx context.Context, i ttrpc.UnaryClientInterceptor, opts ...ttrpc.ServerOpt) {
	w := newWorld(methods(map[string]ttrpc.Method{
		"look": lookMethod, "other": answers(text("other")), "fail": fails(status.Error(codes.NotFound, "gone")),
	}), opts...)
	defer w.close()
	var copts []ttrpc.ClientOpts
	if i != nil {
		copts = append(copts, ttrpc.WithUnaryClientInterceptor(i))
	}
	c := w.client(copts...)
	defer c.Close()
	resp := text("before")
	err := c.Call(ctx, "s", "look", text("x"), resp)
	r.say(what, resp.Value, err)
	resp = text("before")
	err = c.Call(ctx, "s", "fail", text("x"), resp)
	r.say(what+", a call that fails", resp.Value, err)
}

var interceptorProbes = []probe{
	{name: "interceptor/client", run: func(r *report) {
		ctx := ttrpc.WithMetadata(context.Background(), ttrpc.MD{"k": {"1", "2"}})
		around(r, "none", ctx, nil)
		around(r, "sees", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			r.say("the request", req.Service, req.Method, fmt.Sprintf("%x", req.Payload), req.TimeoutNano, fmt.Sprint(req.Metadata), info.FullMethod)
			r.say("the response before", fmt.Sprintf("%t %t", resp.Status == nil, resp.Payload == nil))
			err := next(ctx, req, resp)
			r.say("the response after", fmt.Sprintf("%v %t %x", resp.Status, resp.Payload == nil, resp.Payload), err)
			return err
		})
		around(r, "changes the request", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			req.Metadata = append(req.Metadata, &ttrpc.KeyValue{Key: "added", Value: "v"})
			req.TimeoutNano = int64(time.Minute)
			req.Payload = []byte("\x0a\x01z")
			return next(ctx, req, resp)
		})
		around(r, "changes the method", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			req.Method = "other"
			return next(ctx, req, resp)
		})
		around(r, "changes the context", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(ctx, ttrpc.MD{"n": {"3"}}), time.Minute)
			defer cancel()
			return next(ctx, req, resp)
		})
		around(r, "changes the metadata of the context in place", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			md, _ := ttrpc.GetMetadata(ctx)
			md.Set("k", "in place")
			return next(ctx, req, resp)
		})
		around(r, "answers itself", ctx, func(
			_ context.Context, _ *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, _ ttrpc.Invoker,
		) error {
			resp.Payload = []byte("\x0a\x01q")
			return nil
		})
		around(r, "answers nothing", ctx, func(context.Context, *ttrpc.Request, *ttrpc.Response, *ttrpc.UnaryClientInfo, ttrpc.Invoker) error {
			return nil
		})
		around(r, "fails", ctx, func(context.Context, *ttrpc.Request, *ttrpc.Response, *ttrpc.UnaryClientInfo, ttrpc.Invoker) error {
			return errProbe
		})
		around(r, "drops the status", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			err := next(ctx, req, resp)
			resp.Status = nil
			return err
		})
		around(r, "sets a status", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			err := next(ctx, req, resp)
			resp.Status = status.New(codes.DataLoss, "set").Proto()
			return err
		})
		around(r, "calls twice", ctx, func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			return fmt.Errorf("%v, %v", next(ctx, req, resp), next(ctx, req, resp))
		})
	}},
	{name: "interceptor/client-on-faults", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo, "until": until}))
		defer w.close()
		var t trace
		c := w.client(ttrpc.WithUnaryClientInterceptor(func(
			ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
		) error {
			err := next(ctx, req, resp)
			t.add("%s: %v %v;", info.FullMethod, err, resp.Status)
			return err
		}))
		r.say("unknown method", rawCall(c, "none", text("x"), text("")))
		r.say("nil request", rawCall(c, "echo", nil, text("")))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.say("cancelled", c.Call(ctx, "s", "until", text("x"), text("")))
		c.Close()
		r.say("closed", rawCall(c, "echo", text("x"), text("")))
		_, err := c.NewStream(context.Background(), &ttrpc.StreamDesc{}, "s", "echo", text("x"))
		r.say("stream", err)
		r.say("seen", tame(t.String()))
	}},
	{name: "interceptor/server", run: func(r *report) {
		ctx := ttrpc.WithMetadata(context.Background(), ttrpc.MD{"k": {"1", "2"}})
		server := func(what string, i ttrpc.UnaryServerInterceptor) {
			around(r, what, ctx, nil, ttrpc.WithUnaryServerInterceptor(i))
		}
		server("sees", func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
			md, _ := ttrpc.GetMetadata(ctx)
			v, err := method(ctx, unmarshal)
			r.say("server interceptor", info.FullMethod, show(md), fmt.Sprint(v), err)
			return v, err
		})
		server("unmarshals itself first", func(
			ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method,
		) (any, error) {
			var m wrapperspb.StringValue
			if err := unmarshal(&m); err != nil {
				return nil, err
			}
			return method(ctx, unmarshal)
		})
		server("replaces the unmarshal", func(
			ctx context.Context, _ ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method,
		) (any, error) {
			return method(ctx, func(any) error { return errProbe })
		})
		server("changes the metadata in place", func(
			ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method,
		) (any, error) {
			md, _ := ttrpc.GetMetadata(ctx)
			md.Set("K", "in place")
			return method(ctx, unmarshal)
		})
		server("fails", func(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
			return nil, errProbe
		})
		server("answers nil", func(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
			return nil, nil
		})
		server("answers another", func(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
			return text("another"), nil
		})
	}},
	{name: "interceptor/server-unknown", run: func(r *report) {
		var t trace
		w := newWorld(func(s *ttrpc.Server) {
			s.RegisterService("s", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"echo": echo}, Streams: map[string]ttrpc.Stream{
				"stream": {StreamingServer: true, Handler: func(context.Context, ttrpc.StreamServer) (any, error) { return nil, nil }},
			}})
		}, ttrpc.WithUnaryServerInterceptor(t.server("i")))
		defer w.close()
		c := w.client()
		defer c.Close()
		r.say("unknown method", rawCall(c, "none", text("x"), text("")))
		s, err := c.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true}, "s", "stream", text("x"))
		r.say("stream", err, s.RecvMsg(text("")))
		r.say("interceptor saw", t.String())
	}},
}

var interceptorInfoProbes = []probe{{name: "interceptor/server-info", run: func(r *report) {
	change := func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		r.say("told", info.FullMethod)
		info.FullMethod += "!"
		return method(ctx, unmarshal)
	}
	w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}), ttrpc.WithChainUnaryServerInterceptor(change, change))
	defer w.close()
	c := w.client()
	defer c.Close()
	for range 2 {
		_, err := call(c, "echo", "x")
		r.say("a call", err)
	}
}}}

var wireMetadataProbes = []probe{{name: "md/wire", run: func(r *report) {
	w := newWorld(methods(map[string]ttrpc.Method{"look": func(ctx context.Context, _ func(any) error) (any, error) {
		md, ok := ttrpc.GetMetadata(ctx)
		v, found := ttrpc.GetMetadataValue(ctx, "Foo")
		return text(fmt.Sprint(show(md), ok, " ", v, found)), nil
	}}))
	defer w.close()
	c := w.client()
	defer c.Close()
	for _, md := range []ttrpc.MD{
		nil, {}, {"foo": {"1", "2", "3"}}, {"Foo": {"1"}}, {"foo": {}}, {"foo": {""}}, {"": {"x"}},
		{"foo": {"1", "2"}, "bar": {"é"}},
	} {
		ctx, cancel := soon()
		var resp wrapperspb.StringValue
		err := c.Call(ttrpc.WithMetadata(ctx, md), "s", "look", text("x"), &resp)
		cancel()
		r.say("sent "+show(md), resp.Value, err)
	}
}}}
