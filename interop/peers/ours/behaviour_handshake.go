package main

import (
	"context"
	"net"
	"os"
	"strings"

	"github.com/containerd/ttrpc"
)

// handshake is a Handshaker from a function.
type handshake func(context.Context, net.Conn) (net.Conn, any, error)

func (h handshake) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return h(ctx, conn)
}

// untilErrno is the beginning of a refusal: ours goes on with who was refused,
// which differs from run to run.
func untilErrno(err error) any {
	if err == nil {
		return err
	}
	const errno = "operation not permitted"
	before, _, found := strings.Cut(err.Error(), errno)
	if !found {
		return err
	}
	return before + errno
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
	kept := make(chan context.Context, 2)
	greet(r, "keeps its context", handshake(func(ctx context.Context, c net.Conn) (net.Conn, any, error) {
		kept <- ctx
		return c, nil, nil
	}))
	r.say("the context that was kept", (<-kept).Err())
	greet(r, "refuses", handshake(func(_ context.Context, c net.Conn) (net.Conn, any, error) { return nil, nil, errProbe }))
	greet(r, "same user", ttrpc.UnixSocketRequireSameUser())
	greet(r, "own ids", ttrpc.UnixSocketRequireUidGid(os.Getuid(), os.Getgid()))
	greet(r, "other ids", ttrpc.UnixSocketRequireUidGid(os.Getuid()+1, os.Getgid()))
	greet(r, "any user", ttrpc.UnixSocketRequireUidGid(-1, os.Getgid()))
	greet(r, "any group", ttrpc.UnixSocketRequireUidGid(os.Getuid(), -1))
	greet(r, "anybody", ttrpc.UnixSocketRequireUidGid(-1, -1))
	greet(r, "any user of another group", ttrpc.UnixSocketRequireUidGid(-1, os.Getgid()+1))
	greet(r, "another user of any group", ttrpc.UnixSocketRequireUidGid(os.Getuid()+1, -1))
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
	r.say("wrong credentials", conn == nil, untilErrno(err))
	gone, left := socketPair()
	gone.Close()
	conn, _, err = ttrpc.UnixSocketRequireSameUser().Handshake(context.Background(), left)
	r.say("a peer that is gone", conn == left, err)
	left.Close()
	_, _, err = ttrpc.UnixSocketRequireSameUser().Handshake(context.Background(), left)
	r.say("a closed connection", closedOr(err))
}}}
