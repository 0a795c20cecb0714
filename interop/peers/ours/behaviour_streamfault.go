package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// callUntilCancelled makes a call that may never be answered.
func callUntilCancelled(c *ttrpc.Client, method string) (string, error) {
	ctx, cancel := recvPatience.context()
	defer cancel()
	m := text("")
	err := c.Call(ctx, "s", method, text("x"), m)
	return m.Value, err
}

// nilOrClosed hides a race that every release has: the end of the stream may or may not
// be known yet.
func nilOrClosed(err error) any {
	if err == nil || errors.Is(err, ttrpc.ErrStreamClosed) {
		return "nil or ErrStreamClosed"
	}
	return err
}

// hold is a stream handler that waits for its context, and reports the cause.
func hold(ended chan<- error) ttrpc.StreamHandler {
	return func(ctx context.Context, s ttrpc.StreamServer) (any, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
}

// fine is an error whose status is none.
type fine struct{}

func (fine) Error() string { return "fine" }

func (fine) GRPCStatus() *status.Status {
	return status.New(codes.OK, "fine")
}

var streamFaultProbes = []probe{
	{name: "stream/unknown", run: func(r *report) {
		visit(bothWays, echoStream, nil, func(_ ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			for _, n := range [][2]string{{"none", "st"}, {"s", "none"}, {"", ""}} {
				s, err := c.NewStream(context.Background(), bothWays, n[0], n[1], nil)
				r.say(fmt.Sprintf("NewStream %q", n), err)
				if err == nil {
					sayRecv(r, fmt.Sprintf("%q", n), s, 2)
					r.say("SendMsg", s.SendMsg(text("x")))
				}
			}
			v, err := call(c, "echo", "x")
			r.say("a call afterwards", v, err)
		})
	}},
	{name: "stream/kinds-mixed", run: func(r *report) {
		visit(bothWays, echoStream, nil, func(_ ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			v, err := call(c, "st", "x")
			r.say("Call of a stream that both send", v, err)
			s, err := c.NewStream(context.Background(), toClient, "s", "echo", text("x"))
			r.say("NewStream of a unary method", err)
			sayRecv(r, "unary", s, 2)
		})
		visit(toServer, join, nil, func(_ ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			m, err := callUntilCancelled(c, "st")
			r.say("Call of a client stream", err, m)
		})
		visit(&ttrpc.StreamDesc{}, join, text("request"), func(s ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			sayRecv(r, "a stream where neither sends", s, 2)
			m, err := callUntilCancelled(c, "st")
			r.say("Call of it", err, m)
		})
	}},
	{name: "stream/nil-desc", run: func(r *report) {
		visit(bothWays, echoStream, nil, func(_ ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			_, err := c.NewStream(context.Background(), nil, "s", "st", nil)
			r.say("NewStream without a description", err)
		})
	}},
	{name: "stream/foreign", run: func(r *report) {
		visit(bothWays, echoStream, nil, func(s ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			r.say("SendMsg nil", s.SendMsg(nil))
			r.guard("SendMsg a typed nil", func() any { return s.SendMsg(nilText) })
			r.say("SendMsg a string", s.SendMsg("x"))
			r.say("SendMsg over the limit", s.SendMsg(text(strings.Repeat("x", 4<<20))))
			r.say("SendMsg afterwards", s.SendMsg(text("a")))
			sayRecv(r, "echo, which of them", s, 1)
			r.say("SendMsg, bad UTF-8", s.SendMsg(text("\xff")))
			r.say("SendMsg", s.SendMsg(text("b")))
			r.say("RecvMsg into nil", s.RecvMsg(nil))
			r.say("SendMsg", s.SendMsg(text("c")))
			r.say("RecvMsg into a string", s.RecvMsg("x"))
			r.say("SendMsg", s.SendMsg(text("d")))
			sayRecv(r, "after those", s, 1)
			_, err := c.NewStream(context.Background(), bothWays, "s", "st", "foreign")
			r.say("NewStream with a string", err)
			_, err = c.NewStream(context.Background(), bothWays, "s", "st", text(strings.Repeat("x", 4<<20)))
			r.say("NewStream over the limit", err)
		})
		visit(bothWays, echoStream, nil, func(s ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			r.say("SendMsg that the handler can't parse", s.SendMsg(wrapperspb.Bytes([]byte{0xff})))
			sayRecv(r, "then", s, 2)
		})
	}},
	{name: "stream/cancel", run: func(r *report) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		visitCtx(ctx, bothWays, hold(ended), nil, func(s ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			cancel()
			sayRecv(r, "cancelled", s, 2)
			r.say("SendMsg", s.SendMsg(text("x")))
			r.say("CloseSend", s.CloseSend())
			v, err := call(c, "echo", "x")
			r.say("a call afterwards", v, err)
			select {
			case err := <-ended:
				r.say("the handler's context", err)
			default:
				r.say("the handler's context", "lives on")
			}
			c.Close()
			r.say("the handler's context after Close", <-ended)
		})
		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		visitCtx(ctx, bothWays, hold(ended), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "deadline", s, 1)
		})
		_, err := newWorld(stream(bothWays, echoStream)).client().NewStream(ctx, bothWays, "s", "st", nil)
		r.say("NewStream with an ended context", err)
	}},
	{name: "stream/closed", run: func(r *report) {
		ended := make(chan error, 1)
		visit(bothWays, hold(ended), nil, func(s ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			time.AfterFunc(50*time.Millisecond, func() { c.Close() })
			sayRecv(r, "client closed", s, 2)
			r.say("SendMsg", s.SendMsg(text("x")))
			r.say("CloseSend", s.CloseSend())
			r.say("the handler's context", <-ended)
		})
	}},
	{name: "stream/server-closed", run: func(r *report) {
		ended := make(chan error, 1)
		visit(bothWays, hold(ended), nil, func(s ttrpc.ClientStream, c *ttrpc.Client, w *world) {
			call(c, "echo", "x")
			w.server.Close()
			sayRecv(r, "server closed", s, 2)
			r.say("SendMsg", s.SendMsg(text("x")))
			r.say("CloseSend", s.CloseSend())
			r.say("the handler's context", <-ended)
		})
	}},
	{name: "stream/handler-ends-first", run: func(r *report) {
		visit(bothWays, returns(nil, nil), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler ended", s, 2)
			r.say("SendMsg", s.SendMsg(text("x")))
			r.say("CloseSend", s.CloseSend())
		})
	}},
	{name: "stream/error-with-status-ok", run: func(r *report) {
		for _, desc := range []*ttrpc.StreamDesc{toClient, toServer, bothWays} {
			visit(desc, returns(text("dropped"), fine{}), text("x"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
				sayRecv(r, fmt.Sprint(*desc), s, 1)
			})
		}
	}},
	{name: "stream/handler-panics", run: func(r *report) {
		visit(bothWays, func(context.Context, ttrpc.StreamServer) (any, error) {
			panic("oh")
		}, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler panics", s, 1)
		})
	}},
	{name: "stream/nil-handler", run: func(r *report) {
		visit(bothWays, nil, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "no handler", s, 1)
		})
	}},
}
