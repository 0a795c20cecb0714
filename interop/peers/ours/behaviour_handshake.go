package main

import (
	"context"
	"net"
	"os"

	"github.com/containerd/ttrpc"
)

// handshake is a Handshaker from a function.
type handshake func(context.Context, net.Conn) (net.Conn, any, error)

func (h handshake) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return h(ctx, conn)
}

// greet makes one call to a server with a handshaker.
func greet(r *report, what string, h ttrpc.Handshaker) {
	w := newWorld(methods(map[string]ttrpc.Method{"echo": echo}), ttrpc.WithServerHandshaker(h))
	defer w.close()
	c := w.client()
	defer c.Close()
	v, err := call(c, "echo", "x")
	r.say(what, v, err)
	c = w.client()
	defer c.Close()
	v, err = call(c, "echo", "x")
	r.say(what+", a second connection", v, err)
}

var handshakeProbes = []probe{{name: "handshake", run: func(r *report) {
	greet(r, "lets in", noHandshake{})
	greet(r, "refuses", handshake(func(_ context.Context, c net.Conn) (net.Conn, any, error) { return nil, nil, errProbe }))
	greet(r, "same user", ttrpc.UnixSocketRequireSameUser())
	greet(r, "own ids", ttrpc.UnixSocketRequireUidGid(os.Getuid(), os.Getgid()))
	greet(r, "other ids", ttrpc.UnixSocketRequireUidGid(os.Getuid()+1, os.Getgid()))
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	conn, v, err := ttrpc.UnixSocketRequireSameUser().Handshake(context.Background(), a)
	r.say("credentials of a pipe", conn == nil, v, err)
	theirs, mine := socketPair()
	defer theirs.Close()
	defer mine.Close()
	conn, v, err = ttrpc.UnixSocketRequireSameUser().Handshake(context.Background(), theirs)
	r.say("credentials of a socket", conn == theirs, v != nil, err)
	conn, _, err = ttrpc.UnixSocketRequireUidGid(os.Getuid()+1, 0).Handshake(context.Background(), theirs)
	r.say("wrong credentials", conn == nil, err)
	gone, left := socketPair()
	gone.Close()
	conn, _, err = ttrpc.UnixSocketRequireSameUser().Handshake(context.Background(), left)
	r.say("a peer that is gone", conn == left, err)
	left.Close()
	_, _, err = ttrpc.UnixSocketRequireSameUser().Handshake(context.Background(), left)
	r.say("a closed connection", closedOr(err))
}}}
