package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	toServer = &ttrpc.StreamDesc{StreamingClient: true}
	toClient = &ttrpc.StreamDesc{StreamingServer: true}
	bothWays = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
)

// stream is a registration of one handler, of the given kind.
func stream(desc *ttrpc.StreamDesc, h ttrpc.StreamHandler) func(*ttrpc.Server) {
	return streams(map[string]ttrpc.Stream{"st": {Handler: h, StreamingClient: desc.StreamingClient, StreamingServer: desc.StreamingServer}})
}

// open starts a stream of service "s", method "st".
func open(c *ttrpc.Client, ctx context.Context, desc *ttrpc.StreamDesc, req any) ttrpc.ClientStream {
	s, err := c.NewStream(ctx, desc, "s", "st", req)
	if err != nil {
		panic(err)
	}
	return s
}

// recv takes one message and gives its text with the error.
func recv(s interface{ RecvMsg(any) error }) (string, error) {
	m := text("before")
	err := s.RecvMsg(m)
	return m.Value, err
}

// visit opens one stream to a handler and shows it to f.
func visit(desc *ttrpc.StreamDesc, h ttrpc.StreamHandler, req any, f func(s ttrpc.ClientStream, c *ttrpc.Client, w *world)) {
	visitCtx(context.Background(), desc, h, req, f)
}

func visitCtx(
	ctx context.Context, desc *ttrpc.StreamDesc, h ttrpc.StreamHandler, req any,
	f func(s ttrpc.ClientStream, c *ttrpc.Client, w *world),
) {
	w := newWorld(func(s *ttrpc.Server) {
		s.RegisterService("s", &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"echo": echo},
			Streams: map[string]ttrpc.Stream{"st": {Handler: h, StreamingClient: desc.StreamingClient, StreamingServer: desc.StreamingServer}},
		})
	})
	defer w.close()
	c := w.client()
	defer c.Close()
	f(open(c, ctx, desc, req), c, w)
}

// returns is a stream handler that ends at once.
func returns(v any, err error) ttrpc.StreamHandler {
	return func(context.Context, ttrpc.StreamServer) (any, error) { return v, err }
}

// sayRecv takes n messages and reports each, up to one that does not come.
func sayRecv(r *report, what string, s interface{ RecvMsg(any) error }, n int) {
	for i := range n {
		var v string
		var err error
		if !recvPatience.run(func() { v, err = recv(s) }) {
			r.line("%s, RecvMsg %d hangs", what, i+1)
			return
		}
		r.say(fmt.Sprintf("%s, RecvMsg %d", what, i+1), v, err)
	}
}

// recvPatience is after how long a RecvMsg counts as hanging.
const recvPatience = patience(time.Second)

// echoStream sends back what it gets until the other side is done.
func echoStream(_ context.Context, s ttrpc.StreamServer) (any, error) {
	for {
		m := text("")
		if err := s.RecvMsg(m); err != nil {
			if err == io.EOF {
				return nil, nil
			}
			return nil, err
		}
		if err := s.SendMsg(m); err != nil {
			return nil, err
		}
	}
}

// join is a client-streaming handler that answers with all it got.
func join(_ context.Context, s ttrpc.StreamServer) (any, error) {
	var all []string
	for {
		v, err := recv(s)
		if err != nil {
			return text(fmt.Sprint(all, err)), nil
		}
		all = append(all, v)
	}
}

var streamProbes = []probe{
	{name: "stream/client", run: func(r *report) {
		visit(toServer, join, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			r.say("SendMsg", s.SendMsg(text("a")), s.SendMsg(text("")), s.SendMsg(text("b")))
			r.say("CloseSend", s.CloseSend())
			sayRecv(r, "joined", s, 2)
			r.say("SendMsg after the end", s.SendMsg(text("a")))
			r.say("CloseSend after the end", s.CloseSend())
		})
		visit(toServer, join, text("first"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			r.say("with a first message, SendMsg", s.SendMsg(text("a")))
			r.say("CloseSend", s.CloseSend())
			r.say("CloseSend again", s.CloseSend())
			r.say("SendMsg after CloseSend", s.SendMsg(text("late")))
			sayRecv(r, "with a first message", s, 1)
		})
		visit(toServer, returns(nil, nil), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			r.say("handler answers nil, CloseSend", nilOrClosed(s.CloseSend()))
			sayRecv(r, "handler answers nil", s, 2)
		})
		visit(toServer, returns("foreign", nil), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler answers a string", s, 2)
		})
		visit(toServer, returns(text("v"), errProbe), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler fails", s, 2)
			r.say("SendMsg after that", s.SendMsg(text("a")))
			r.say("CloseSend after that", s.CloseSend())
		})
	}},
	{name: "stream/server", run: func(r *report) {
		sendTwo := func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			v, err := recv(s)
			s.SendMsg(text("got " + fmt.Sprint(v, err)))
			v, err = recv(s)
			s.SendMsg(text("then " + fmt.Sprint(v, err)))
			return nil, nil
		}
		visit(toClient, sendTwo, text("request"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "two messages", s, 4)
			r.say("CloseSend after the end", s.CloseSend())
			r.say("SendMsg after the end", s.SendMsg(text("x")))
		})
		visit(toClient, sendTwo, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "without a request", s, 3)
		})
		visit(toClient, returns(text("last"), nil), text("request"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler answers a message", s, 3)
		})
		visit(toClient, func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			s.SendMsg(text("one"))
			return nil, detailed()
		}, text("request"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "fails after one", s, 4)
		})
		visit(toClient, func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			s.SendMsg(text("one"))
			return nil, io.EOF
		}, text("request"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "ends in io.EOF", s, 3)
		})
		visit(toClient, func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			s.SendMsg(text(""))
			return nil, nil
		}, text("request"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "an empty message", s, 2)
		})
	}},
	{name: "stream/server-send", run: func(r *report) {
		release := make(chan struct{})
		visit(toClient, func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			<-release
			return nil, nil
		}, text("request"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			r.say("SendMsg of a stream where only the server sends", s.SendMsg(text("x")))
			r.say("CloseSend there", s.CloseSend())
			close(release)
			sayRecv(r, "ended", s, 2)
		})
	}},
	{name: "stream/both", run: func(r *report) {
		visit(bothWays, echoStream, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			for _, v := range []string{"a", "", "c"} {
				r.say("SendMsg", s.SendMsg(text(v)))
				sayRecv(r, "echo", s, 1)
			}
			r.say("CloseSend", s.CloseSend())
			r.say("SendMsg after CloseSend", s.SendMsg(text("late")))
			sayRecv(r, "the end", s, 2)
			r.say("CloseSend again", s.CloseSend())
		})
		visit(bothWays, echoStream, text("first"), func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "first message in the request", s, 1)
			r.say("CloseSend", s.CloseSend())
			sayRecv(r, "the end", s, 1)
		})
		visit(bothWays, returns(text("last"), nil), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler answers a message", s, 3)
			r.say("SendMsg after the server's end", s.SendMsg(text("x")))
			r.say("CloseSend after the server's end", s.CloseSend())
		})
		visit(bothWays, returns(nil, status.Error(codes.NotFound, "gone")), nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			sayRecv(r, "handler fails", s, 3)
			r.say("SendMsg after the server's error", s.SendMsg(text("x")))
		})
	}},
	{name: "stream/handler-view", run: func(r *report) {
		seen := make(chan string, 1)
		visit(bothWays, func(ctx context.Context, s ttrpc.StreamServer) (any, error) {
			var t trace
			for range 3 {
				v, err := recv(s)
				t.add("%q %v;", v, err)
			}
			t.add("SendMsg %v;", s.SendMsg(text("x")))
			_, deadline := ctx.Deadline()
			t.add("deadline %t", deadline)
			seen <- t.String()
			return nil, nil
		}, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			s.SendMsg(text("a"))
			s.CloseSend()
			r.say("a message, then the end", <-seen)
		})
		visit(toClient, func(ctx context.Context, s ttrpc.StreamServer) (any, error) {
			var t trace
			t.add("nil: %v;", s.SendMsg(nil))
			t.add("string: %v;", s.SendMsg("x"))
			t.add("into nil: %v;", s.RecvMsg(nil))
			seen <- t.String()
			return nil, nil
		}, text("request"), func(ttrpc.ClientStream, *ttrpc.Client, *world) {
			r.say("messages of no use", <-seen)
		})
		visit(toServer, func(ctx context.Context, s ttrpc.StreamServer) (any, error) {
			seen <- fmt.Sprint(s.SendMsg(text("x")))
			return text("y"), nil
		}, nil, func(s ttrpc.ClientStream, _ *ttrpc.Client, _ *world) {
			r.say("SendMsg where only the client sends", <-seen)
			sayRecv(r, "at the client", s, 3)
		})
		visit(toClient, func(ctx context.Context, s ttrpc.StreamServer) (any, error) {
			err := s.SendMsg(text(strings.Repeat("x", 4<<20)))
			seen <- describe(err)
			return nil, nil
		}, text("request"), func(s ttrpc.ClientStream, c *ttrpc.Client, _ *world) {
			r.say("SendMsg over the limit", <-seen)
			sayRecv(r, "at the client", s, 1)
			v, err := call(c, "echo", "x")
			r.say("a call afterwards", v, err)
		})
	}},
	{name: "stream/context-sent", run: func(r *report) {
		seen := make(chan string, 1)
		ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(context.Background(), ttrpc.MD{"k": {"v"}}), time.Minute)
		defer cancel()
		visitCtx(ctx, toClient, func(ctx context.Context, s ttrpc.StreamServer) (any, error) {
			_, deadline := ctx.Deadline()
			md, _ := ttrpc.GetMetadata(ctx)
			seen <- fmt.Sprint("deadline ", deadline, ", metadata ", show(md))
			return nil, nil
		}, text("request"), func(ttrpc.ClientStream, *ttrpc.Client, *world) {
			r.say("the handler's context", <-seen)
		})
	}},
}
