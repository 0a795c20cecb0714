package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/containerd/ttrpc"
)

// awaitEnd waits for a client to notice that its connection is gone: the originals close
// theirs some time after Close and Shutdown have returned.
func awaitEnd(c *ttrpc.Client) {
	ctx, cancel := (probePatience / 4).context()
	defer cancel()
	c.UserOnCloseWait(ctx)
}

var lifecycleProbes = []probe{
	{name: "server/close-and-serve", run: func(r *report) {
		s, _ := ttrpc.NewServer()
		r.say("Close of an unused server", s.Close())
		r.say("Close again", s.Close())
		r.say("Shutdown after Close", s.Shutdown(context.Background()))
		l := listen()
		r.say("Serve after Close", s.Serve(context.Background(), l))
		_, err := l.Accept()
		r.say("the listener after that", closedOr(err))
	}},
	{name: "server/shutdown-and-serve", run: func(r *report) {
		s, _ := ttrpc.NewServer()
		r.say("Shutdown of an unused server", s.Shutdown(context.Background()))
		r.say("Shutdown again", s.Shutdown(context.Background()))
		r.say("Serve after Shutdown", s.Serve(context.Background(), listen()))
		r.say("Close after Shutdown", s.Close())
	}},
	{name: "server/serve-returns", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		c := w.client()
		_, err := call(c, "echo", "x")
		r.say("call", err)
		r.say("Shutdown", w.server.Shutdown(context.Background()))
		r.say("Serve", <-w.served)
		awaitEnd(c)
		_, err = call(c, "echo", "x")
		r.say("call after Shutdown", err)
		_, err = net.Dial("unix", w.addr.String())
		r.say("dial after Shutdown fails", err != nil)

		w = newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		c = w.client()
		call(c, "echo", "x")
		r.say("Close", w.server.Close())
		r.say("Serve", <-w.served)
		awaitEnd(c)
		_, err = call(c, "echo", "x")
		r.say("call after Close", err)
	}},
	{name: "server/serve-closed-listener", run: func(r *report) {
		s, _ := ttrpc.NewServer()
		l := listen()
		l.Close()
		err := s.Serve(context.Background(), l)
		r.say("Serve of a closed listener", closedOr(err))
		w := newWorld(nil)
		l = listen()
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(context.Background(), l) }()
		conn, err := net.Dial("unix", l.Addr().String())
		r.say("a second listener", err)
		c := ttrpc.NewClient(conn)
		_, err = call(c, "none", "x")
		r.say("call there", err)
		l.Close()
		r.say("its Serve when the listener closes", closedOr(<-served))
		_, err = call(c, "none", "x")
		r.say("call of its connection then", err)
		r.say("Close", closedOr(w.server.Close()))
		r.say("first Serve", <-w.served)
	}},
	{name: "server/serve-context", run: func(r *report) {
		s, _ := ttrpc.NewServer()
		started := make(chan struct{})
		s.Register("s", map[string]ttrpc.Method{"until": func(ctx context.Context, _ func(any) error) (any, error) {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}, "echo": echo})
		ctx, cancel := context.WithCancel(context.Background())
		l := listen()
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l) }()
		conn, _ := net.Dial("unix", l.Addr().String())
		c := ttrpc.NewClient(conn)
		done := make(chan error, 1)
		go func() { _, err := call(c, "until", "x"); done <- err }()
		<-started
		cancel()
		r.say("a running call when Serve's context ends", <-done)
		_, err := call(c, "echo", "x")
		r.say("the next call", err)
		s.Close()
		r.say("Serve", <-served)
	}},
	{name: "server/shutdown-in-flight", run: func(r *report) {
		started, finish := make(chan struct{}), make(chan struct{})
		w := newWorld(methods(map[string]ttrpc.Method{"wait": func(context.Context, func(any) error) (any, error) {
			close(started)
			<-finish
			return text("done"), nil
		}}))
		c := w.client()
		done := make(chan error, 1)
		go func() { _, err := call(c, "wait", "x"); done <- err }()
		<-started
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		r.say("Shutdown with an ended context", w.server.Shutdown(ended))
		r.say("Serve", <-w.served)
		_, err := net.Dial("unix", w.addr.String())
		r.say("dial fails", err != nil)
		closed := make(chan error, 1)
		go func() { closed <- w.server.Shutdown(context.Background()) }()
		close(finish)
		r.say("the call in flight", <-done)
		r.say("Shutdown", <-closed)
	}},
	{name: "server/shutdown-idle", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		c := w.client()
		_, err := call(c, "echo", "x")
		r.say("call", err)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		r.say("Shutdown with an ended context", w.server.Shutdown(ended))
		r.say("Serve", <-w.served)
	}},
	{name: "server/close-in-flight", run: func(r *report) {
		started := make(chan struct{})
		ended := make(chan error, 1)
		w := newWorld(methods(map[string]ttrpc.Method{"until": func(ctx context.Context, _ func(any) error) (any, error) {
			close(started)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}}))
		c := w.client()
		done := make(chan error, 1)
		go func() { _, err := call(c, "until", "x"); done <- err }()
		<-started
		r.say("Close", w.server.Close())
		r.say("the call in flight", <-done)
		r.say("its handler's context", <-ended)
	}},
	{name: "client/close", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo, "until": until}))
		defer w.close()
		c := w.client()
		_, err := call(c, "echo", "x")
		r.say("call", err)
		r.say("Close", c.Close())
		r.say("Close again", c.Close())
		_, err = call(c, "echo", "x")
		r.say("call after Close", err)
		_, err = c.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true}, "s", "echo", nil)
		r.say("NewStream after Close", err)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		r.say("call after Close, with an ended context", c.Call(ended, "s", "echo", text("x"), text("")))
		_, err = c.NewStream(ended, &ttrpc.StreamDesc{StreamingClient: true}, "s", "echo", nil)
		r.say("NewStream after Close, with an ended context", err)
	}},
	{name: "server/serve-metadata", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"look": func(ctx context.Context, _ func(any) error) (any, error) {
			md, ok := ttrpc.GetMetadata(ctx)
			return text(fmt.Sprint(show(md), ok)), nil
		}}))
		defer w.close()
		l := listen()
		go w.server.Serve(ttrpc.WithMetadata(context.Background(), ttrpc.MD{"serve": {"x"}}), l)
		conn, _ := net.Dial("unix", l.Addr().String())
		c := ttrpc.NewClient(conn)
		defer c.Close()
		for _, md := range []ttrpc.MD{nil, {}, {"own": {"y"}}} {
			resp := text("")
			err := c.Call(ttrpc.WithMetadata(context.Background(), md), "s", "look", text(""), resp)
			r.say("with metadata of Serve, sent "+show(md), resp.Value, err)
		}
	}},
	{name: "server/shutdown-without-context", run: func(r *report) {
		w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
		call(w.client(), "echo", "x")
		var none context.Context
		r.say("Shutdown of an idle server", caught(func() { r.say("Shutdown", w.server.Shutdown(none)) }))
	}},
	{name: "client/on-close", run: clientOnClose},
	{name: "client/conn-gone", run: clientConnGone},
	{name: "client/close-in-flight", run: func(r *report) {
		started := make(chan struct{})
		ended := make(chan error, 1)
		w := newWorld(methods(map[string]ttrpc.Method{"until": func(ctx context.Context, _ func(any) error) (any, error) {
			close(started)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}}))
		defer w.close()
		c := w.client()
		done := make(chan error, 1)
		go func() { _, err := call(c, "until", "x"); done <- err }()
		<-started
		c.Close()
		r.say("the call in flight", <-done)
		r.say("its handler's context", <-ended)
	}},
}

// closedOr hides the address in the error of a closed listener.
func closedOr(err error) any {
	if err != nil && strings.Contains(err.Error(), "use of closed network connection") {
		return "use of closed network connection"
	}
	return err
}

// clientOnClose looks at when the on-close callbacks run, and who waits for them.
func clientOnClose(r *report) {
	w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}))
	defer w.close()
	var t trace
	c := w.client(ttrpc.WithOnClose(func() { t.add("first") }), ttrpc.WithOnClose(func() { t.add("second") }))
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	r.say("UserOnCloseWait of an open client, context ended", c.UserOnCloseWait(ended))
	_, err := call(c, "echo", "x")
	r.say("call", err, t.String())
	c.Close()
	r.say("UserOnCloseWait after Close", c.UserOnCloseWait(context.Background()))
	r.say("callbacks", t.String())
	r.say("UserOnCloseWait again, context ended", among(c.UserOnCloseWait(ended), nil, context.Canceled))
	c.Close()
	r.say("callbacks after a second Close", t.String())

	c = w.client()
	c.Close()
	r.say("UserOnCloseWait without a callback", c.UserOnCloseWait(context.Background()))

	closed := make(chan struct{})
	c = w.client(ttrpc.WithOnClose(func() { close(closed) }))
	call(c, "echo", "x")
	w.server.Close()
	<-closed
	r.say("called when the server closes", true)
	r.say("UserOnCloseWait when the server closed", c.UserOnCloseWait(context.Background()))
}

// among hides which of two allowed values was seen.
func among(err error, allowed ...error) any {
	for _, a := range allowed {
		if err == a {
			return "as allowed"
		}
	}
	return err
}

// clientConnGone cuts connections in different ways under a call.
func clientConnGone(r *report) {
	for _, c := range []struct {
		what string
		cut  func(net.Conn)
	}{
		{"EOF", func(c net.Conn) { c.Close() }},
		{"EOF after the request", func(c net.Conn) { c.Read(make([]byte, 4096)); c.Close() }},
		{"EOF in a header", func(c net.Conn) { c.Read(make([]byte, 4096)); c.Write([]byte{0, 0, 0}); c.Close() }},
		{"EOF in a body", func(c net.Conn) {
			c.Read(make([]byte, 4096))
			c.Write([]byte{0, 0, 0, 9, 0, 0, 0, 1, 2, 0, 1})
			c.Close()
		}},
	} {
		theirs, mine := socketPair()
		go c.cut(theirs)
		client := ttrpc.NewClient(mine)
		_, err := call(client, "echo", "x")
		r.say("call, "+c.what, err)
		_, err = call(client, "echo", "x")
		r.say("next call, "+c.what, err)
		client.Close()
	}
	theirs, mine := socketPair()
	client := ttrpc.NewClient(mine)
	mine.Close()
	_, err := call(client, "echo", "x")
	r.say("call, own conn closed beneath", closedOr(err))
	theirs.Close()
}

// socketPair is a connected pair of unix sockets.
func socketPair() (theirs, mine net.Conn) {
	l := listen()
	defer l.Close()
	defer os.Remove(l.Addr().String())
	mine, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		panic(err)
	}
	if theirs, err = l.Accept(); err != nil {
		panic(err)
	}
	return theirs, mine
}
