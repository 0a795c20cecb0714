package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
)

// noHandshake lets every connection in.
type noHandshake struct{}

func (noHandshake) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	return conn, nil, nil
}

func passServer(ctx context.Context, unmarshal ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
	return method(ctx, unmarshal)
}

// trace collects the order of events.
type trace struct {
	mu     sync.Mutex // guards events
	events []string
}

func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, fmt.Sprintf(format, args...))
}

func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.events, " ")
}

func (t *trace) server(name string) ttrpc.UnaryServerInterceptor {
	return func(ctx context.Context, unmarshal ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		t.add("%s(%s)", name, info.FullMethod)
		v, err := method(ctx, unmarshal)
		t.add("/%s", name)
		return v, err
	}
}

func (t *trace) client(name string) ttrpc.UnaryClientInterceptor {
	return func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, info *ttrpc.UnaryClientInfo, next ttrpc.Invoker) error {
		t.add("%s(%s)", name, info.FullMethod)
		err := next(ctx, req, resp)
		t.add("/%s", name)
		return err
	}
}

var configProbes = []probe{
	{name: "config/server", run: func(r *report) {
		hs, one := ttrpc.WithServerHandshaker(noHandshake{}), ttrpc.WithUnaryServerInterceptor(passServer)
		chain := ttrpc.WithChainUnaryServerInterceptor(passServer)
		for _, c := range []struct {
			what string
			opts []ttrpc.ServerOpt
		}{
			{"nothing", nil},
			{"two handshakers", []ttrpc.ServerOpt{hs, hs}},
			{"a nil handshaker", []ttrpc.ServerOpt{ttrpc.WithServerHandshaker(nil)}},
			{"a nil handshaker, then one", []ttrpc.ServerOpt{ttrpc.WithServerHandshaker(nil), hs}},
			{"two interceptors", []ttrpc.ServerOpt{one, one}},
			{"an interceptor, then a chain", []ttrpc.ServerOpt{one, chain}},
			{"a chain, then an interceptor", []ttrpc.ServerOpt{chain, one}},
			{"two chains", []ttrpc.ServerOpt{chain, chain}},
			{"an empty chain", []ttrpc.ServerOpt{ttrpc.WithChainUnaryServerInterceptor()}},
			{"an empty chain, then an interceptor", []ttrpc.ServerOpt{ttrpc.WithChainUnaryServerInterceptor(), one}},
			{"a nil interceptor", []ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(nil)}},
			{"a nil interceptor in a chain", []ttrpc.ServerOpt{ttrpc.WithChainUnaryServerInterceptor(nil)}},
			{"a failing option", []ttrpc.ServerOpt{ttrpc.WithServerHandshaker(noHandshake{}), hs, one}},
			{"a nil option", []ttrpc.ServerOpt{nil}},
		} {
			what := "NewServer with " + c.what
			r.guard(what, func() any {
				s, err := ttrpc.NewServer(c.opts...)
				return fmt.Sprintf("%s, server nil: %t", describe(err), s == nil)
			})
		}
	}},
	{name: "config/server-chain-order", run: func(r *report) {
		for _, c := range []struct {
			what string
			opts func(*trace) []ttrpc.ServerOpt
		}{
			{"one", func(t *trace) []ttrpc.ServerOpt {
				return []ttrpc.ServerOpt{ttrpc.WithUnaryServerInterceptor(t.server("a"))}
			}},
			{"chain of three", func(t *trace) []ttrpc.ServerOpt {
				return []ttrpc.ServerOpt{ttrpc.WithChainUnaryServerInterceptor(t.server("a"), t.server("b"), t.server("c"))}
			}},
			{"one, then chain", func(t *trace) []ttrpc.ServerOpt {
				return []ttrpc.ServerOpt{
					ttrpc.WithUnaryServerInterceptor(t.server("a")),
					ttrpc.WithChainUnaryServerInterceptor(t.server("b"), t.server("c")),
				}
			}},
			{"two chains", func(t *trace) []ttrpc.ServerOpt {
				return []ttrpc.ServerOpt{
					ttrpc.WithChainUnaryServerInterceptor(t.server("a"), t.server("b")),
					ttrpc.WithChainUnaryServerInterceptor(t.server("c"), t.server("d")),
				}
			}},
		} {
			t := &trace{}
			serverOrder(r, c.what, t, c.opts(t))
		}
	}},
	{name: "config/client-chain-order", run: func(r *report) {
		one := func(t *trace, n string) ttrpc.ClientOpts { return ttrpc.WithUnaryClientInterceptor(t.client(n)) }
		chain := func(t *trace, a, b string) ttrpc.ClientOpts {
			return ttrpc.WithChainUnaryClientInterceptor(t.client(a), t.client(b))
		}
		for _, c := range []struct {
			what string
			opts func(*trace) []ttrpc.ClientOpts
		}{
			{"one", func(t *trace) []ttrpc.ClientOpts { return []ttrpc.ClientOpts{one(t, "a")} }},
			{"one, one", func(t *trace) []ttrpc.ClientOpts { return []ttrpc.ClientOpts{one(t, "a"), one(t, "b")} }},
			{"one, chain", func(t *trace) []ttrpc.ClientOpts { return []ttrpc.ClientOpts{one(t, "a"), chain(t, "b", "c")} }},
			{"chain, one", func(t *trace) []ttrpc.ClientOpts { return []ttrpc.ClientOpts{chain(t, "b", "c"), one(t, "a")} }},
			{"chain, chain", func(t *trace) []ttrpc.ClientOpts {
				return []ttrpc.ClientOpts{chain(t, "a", "b"), chain(t, "c", "d")}
			}},
			{"chain, one, chain", func(t *trace) []ttrpc.ClientOpts {
				return []ttrpc.ClientOpts{chain(t, "a", "b"), one(t, "x"), chain(t, "c", "d")}
			}},
			{"empty chain", func(*trace) []ttrpc.ClientOpts {
				return []ttrpc.ClientOpts{ttrpc.WithChainUnaryClientInterceptor()}
			}},
		} {
			t := &trace{}
			clientOrder(r, c.what, c.opts(t), t)
		}
	}},
	{name: "config/client-nil-interceptor", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		defer w.close()
		r.guard("nil interceptor", func() any {
			_, err := call(w.client(ttrpc.WithUnaryClientInterceptor(nil)), "echo", "x")
			return err
		})
		r.guard("nil in a chain", func() any {
			_, err := call(w.client(ttrpc.WithChainUnaryClientInterceptor(nil)), "echo", "x")
			return err
		})
		r.say("nil option", caught(func() { w.client(nil) }))
	}},
}

func serverOrder(r *report, what string, t *trace, opts []ttrpc.ServerOpt) {
	w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}), opts...)
	defer w.close()
	c := w.client()
	defer c.Close()
	v, err := call(c, "echo", "x")
	r.say(what, t.String(), v, err)
}

func clientOrder(r *report, what string, opts []ttrpc.ClientOpts, t *trace) {
	w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
	defer w.close()
	c := w.client(opts...)
	defer c.Close()
	v, err := call(c, "echo", "x")
	r.say(what, t.String(), v, err)
}

// registerProbes look at what registering twice or oddly does.
var registerProbes = []probe{{name: "register", run: func(r *report) {
	fresh := func() *ttrpc.Server {
		s, err := ttrpc.NewServer()
		if err != nil {
			panic(err)
		}
		return s
	}
	m := map[string]ttrpc.Method{"echo": echo}
	desc := &ttrpc.ServiceDesc{Methods: m, Streams: map[string]ttrpc.Stream{"echo": {}}}
	r.say("Register twice", caught(func() { s := fresh(); s.Register("a.b", m); s.Register("a.b", m) }))
	r.say("RegisterService twice", caught(func() { s := fresh(); s.RegisterService("a.b", desc); s.RegisterService("a.b", desc) }))
	r.say("Register, then RegisterService", caught(func() { s := fresh(); s.Register("a.b", m); s.RegisterService("a.b", desc) }))
	r.say("a method and a stream of one name", caught(func() { fresh().RegisterService("a.b", desc) }))
	r.say("nil methods", caught(func() { fresh().Register("a.b", nil) }))
	r.say("nil description", caught(func() { fresh().RegisterService("a.b", nil) }))
	r.say("a nil method", caught(func() { fresh().Register("a.b", map[string]ttrpc.Method{"nil": nil}) }))
	r.say("empty names", caught(func() { fresh().Register("", map[string]ttrpc.Method{"": echo}) }))
	r.say("slashes", caught(func() { fresh().Register("/a/b", map[string]ttrpc.Method{"/c": echo}) }))
	registerOddNames(r)
	registerLate(r)
}}}

// registerOddNames calls methods whose names need care in a full method name.
func registerOddNames(r *report) {
	t := &trace{}
	w := newWorld(func(s *ttrpc.Server) {
		s.Register("", map[string]ttrpc.Method{"": echo})
		s.Register("/a/b", map[string]ttrpc.Method{"/c": echo})
	}, ttrpc.WithUnaryServerInterceptor(t.server("i")))
	defer w.close()
	c := w.client(ttrpc.WithUnaryClientInterceptor(t.client("i")))
	defer c.Close()
	for _, n := range [][2]string{{"", ""}, {"/a/b", "/c"}, {"a/b", "c"}} {
		ctx, cancel := soon()
		err := c.Call(ctx, n[0], n[1], text("x"), text(""))
		cancel()
		r.say(fmt.Sprintf("Call %q %q", n[0], n[1]), err)
	}
	r.say("full names", t.String())
}

// registerLate registers while the server runs and has served a call.
func registerLate(r *report) {
	w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
	defer w.close()
	c := w.client()
	defer c.Close()
	_, err := call(c, "echo", "x")
	r.say("before", err)
	w.server.Register("late", map[string]ttrpc.Method{"echo": echo})
	ctx, cancel := soon()
	defer cancel()
	r.say("registered while serving", c.Call(ctx, "late", "echo", text("x"), text("")))
	m := map[string]ttrpc.Method{}
	w.server.Register("later", m)
	m["echo"] = echo
	r.say("put into the map after Register", c.Call(ctx, "later", "echo", text("x"), text("")))
}

var errProbe = errors.New("probe's own error")
