package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var sockets atomic.Int64

func listen() net.Listener {
	l, err := net.Listen("unix", filepath.Join(tempDir(), fmt.Sprint(sockets.Add(1))))
	if err != nil {
		panic(err)
	}
	return l
}

// world is one server, and what a probe needs to reach it.
type world struct {
	server *ttrpc.Server
	addr   net.Addr
	served chan error
}

// newWorld starts a server with the probes' service, plus what add registers.
func newWorld(add func(*ttrpc.Server), opts ...ttrpc.ServerOpt) *world {
	s, err := ttrpc.NewServer(opts...)
	if err != nil {
		panic(err)
	}
	if add != nil {
		add(s)
	}
	l := listen()
	w := &world{server: s, addr: l.Addr(), served: make(chan error, 1)}
	go func() { w.served <- s.Serve(context.Background(), l) }()
	return w
}

func (w *world) dial() net.Conn {
	conn, err := net.Dial("unix", w.addr.String())
	if err != nil {
		panic(err)
	}
	return conn
}

func (w *world) client(opts ...ttrpc.ClientOpts) *ttrpc.Client {
	return ttrpc.NewClient(w.dial(), opts...)
}

func (w *world) close() { w.server.Close() }

// methods registers unary methods of service "s".
func methods(m map[string]ttrpc.Method) func(*ttrpc.Server) {
	return func(s *ttrpc.Server) { s.Register("s", m) }
}

// streams registers streams of service "s".
func streams(m map[string]ttrpc.Stream) func(*ttrpc.Server) {
	return func(s *ttrpc.Server) { s.RegisterService("s", &ttrpc.ServiceDesc{Streams: m}) }
}

// echo answers with the request's own text.
func echo(_ context.Context, unmarshal func(any) error) (any, error) {
	var req wrapperspb.StringValue
	if err := unmarshal(&req); err != nil {
		return nil, err
	}
	return &req, nil
}

// fails is a method that ends in an error.
func fails(err error) ttrpc.Method {
	return func(context.Context, func(any) error) (any, error) { return nil, err }
}

// answers is a method that gives a fixed answer.
func answers(v any) ttrpc.Method {
	return func(context.Context, func(any) error) (any, error) { return v, nil }
}

// until returns a method that waits for its context and passes on the error.
func until(ctx context.Context, _ func(any) error) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// text is a message with a string, the probes' usual one.
func text(s string) *wrapperspb.StringValue { return wrapperspb.String(s) }

// soon is a context that ends well before a probe counts as hanging.
func soon() (context.Context, context.CancelFunc) { return (probePatience / 2).context() }

// call makes one call with a bound of its own and returns the answer's text.
func call(c *ttrpc.Client, method, arg string) (string, error) {
	ctx, cancel := soon()
	defer cancel()
	var resp wrapperspb.StringValue
	err := c.Call(ctx, "s", method, text(arg), &resp)
	return resp.GetValue(), err
}

// caught runs f and returns what it panicked with, or nil.
func caught(f func()) (v any) {
	defer func() {
		if p := recover(); p != nil {
			v = "panic: " + fmt.Sprint(p)
		}
	}()
	f()
	return nil
}
