//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// mistakes are calls with arguments that can't work, and the name that the panic in the caller
// has to have.
var mistakes = map[string]struct {
	make func(t *testing.T)
	name string
}{
	"client": {func(t *testing.T) {
		c := ttrpc.NewClient(nil)
		_, err := call(context.Background(), c, "echo", "")
		fmt.Println("the call:", err)
	}, "NewClient"},
	"client with a handshake": {func(t *testing.T) {
		ttrpc.NewClient(nil, ttrpc.WithClientHandshaker(handshake(func(conn net.Conn) (net.Conn, error) { return conn, nil })))
	}, "NewClient"},
	"nil pointer of package net": {func(*testing.T) { ttrpc.NewClient((*net.UnixConn)(nil)) }, "NewClient"},
	"listener": {func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		fmt.Println("Serve:", s.Serve(context.Background(), nil))
	}, "Serve"},
	"listener of a closed server": {func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		check(t, s.Close())
		fmt.Println("Serve:", s.Serve(context.Background(), nil))
	}, "Serve"},
	"connection": {func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		fmt.Println("ServeConn:", s.ServeConn(context.Background(), nil))
	}, "ServeConn"},
	"connection, a nil pointer": {func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		check(t, s.Close())
		fmt.Println("ServeConn:", s.ServeConn(context.Background(), (*net.UnixConn)(nil)))
	}, "ServeConn"},
	"context of a connection": {func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		var none context.Context
		fmt.Println("ServeConn:", s.ServeConn(none, new(net.UnixConn)))
	}, "ServeConn"},
	"context": {func(t *testing.T) {
		s, err := ttrpc.NewServer()
		check(t, err)
		s.RegisterService(svc, serviceOf(nil, nil))
		l := listen(t, "unix")
		c := newClient(t, dial(t, l))
		go func() {
			_, err := call(context.Background(), c, "echo", "")
			fmt.Println("the call:", err)
			s.Close()
		}()
		var none context.Context
		fmt.Println("Serve:", s.Serve(none, l))
	}, "Serve"},
}

// handshake is a handshake of a function.
type handshake func(net.Conn) (net.Conn, error)

func (f handshake) Handshake(_ context.Context, conn net.Conn) (net.Conn, any, error) {
	conn, err := f(conn)
	return conn, nil, err
}

// What can't work is a panic that says so, at once and in the goroutine of whoever made the
// mistake. It is tried in processes of their own, which a panic in another goroutine ends.
func TestNilArguments(t *testing.T) {
	if which := child(); which != "" {
		value := panicOf(func() { mistakes[which].make(t) })
		fmt.Printf("in the caller: %v\n", value)
		os.Exit(0)
	}
	for which, mistake := range mistakes {
		out, err := runChild(t, which)
		_, text, _ := strings.Cut(out, "in the caller: ")
		clear := strings.HasPrefix(text, "ttrpc: ") && strings.Contains(text, mistake.name) && strings.Contains(text, "nil")
		if err != nil || !clear {
			t.Errorf("%s: %v: %.300s", which, err, out)
		}
	}
}

// A listener that returns neither a connection nor an error is broken as well, but not the caller's
// mistake: the process goes on, and others are served.
func TestListenerReturnsNothing(t *testing.T) {
	if child() == "" {
		if out, err := runChild(t, "listener"); err != nil {
			t.Fatalf("%v: %.500s", err, out)
		}
		return
	}
	s, err := ttrpc.NewServer()
	check(t, err)
	s.RegisterService(svc, serviceOf(nil, nil))
	sound := listen(t, "unix")
	go s.Serve(context.Background(), sound)
	broken := newConnListener(nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), broken) }()
	wantEcho(t, newClient(t, dial(t, sound)))
	check(t, s.Close())
	wait(t, served, "Serve of the broken listener to return")
}

// A handler that returns neither a message nor an error is found by its name.
func TestNilFromAHandlerNamesTheMethod(t *testing.T) {
	nothing := func(context.Context, string) (any, error) { return nil, nil }
	typed := func(context.Context, string) (any, error) { return (*wrapperspb.StringValue)(nil), nil }
	_, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{"nothing": methodOf(nothing), "typed": methodOf(typed)}, nil))
	c := newClient(t, dial(t, l))
	for _, method := range []string{"nothing", "typed"} {
		_, err := call(context.Background(), c, method, "")
		st, _ := status.FromError(err)
		if st.Code() != codes.Unknown || !strings.HasPrefix(st.Message(), "ttrpc: marshal called with nil") {
			t.Errorf("%s: %v, want the status of the releases", method, err)
		}
		if !strings.Contains(st.Message(), "/"+svc+"/"+method) {
			t.Errorf("%s: %v does not name the method", method, err)
		}
	}
}

// For streams nothing is an empty message, or the end: it is no mistake there.
func TestNilFromAStreamIsItsEnd(t *testing.T) {
	nothing := func(context.Context, ttrpc.StreamServer) (any, error) { return nil, nil }
	desc := serviceOf(nil, map[string]ttrpc.StreamHandler{"both": nothing})
	desc.Streams["up"] = ttrpc.Stream{Handler: nothing, StreamingClient: true}
	_, l := serveOn(t, nil, desc)
	c := newClient(t, dial(t, l))
	cs, err := c.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true}, svc, "up", nil)
	check(t, err)
	m := text("old")
	check(t, cs.RecvMsg(m))
	equal(t, m.Value, "")
	cs, err = c.NewStream(context.Background(), both, svc, "both", nil)
	check(t, err)
	if err := cs.RecvMsg(m); err == nil || err.Error() != "EOF" {
		t.Fatal("got", err)
	}
}

// Unimplemented has the releases' texts, to the letter: programs may match on them.
func TestUnimplementedHasTheReleasesTexts(t *testing.T) {
	_, l := serveOn(t, nil, serviceOf(nil, nil))
	c := newClient(t, dial(t, l))
	for _, names := range [][3]string{{"none.Service", "what", "service none.Service"}, {svc, "what", "method what"}} {
		wantStatusOfReleases := func(err error) {
			t.Helper()
			st, _ := status.FromError(err)
			if st.Code() != codes.Unimplemented || st.Message() != names[2] {
				t.Errorf("%v, want the status of the releases", err)
			}
		}
		wantStatusOfReleases(c.Call(context.Background(), names[0], names[1], text(""), text("")))
		cs, err := c.NewStream(context.Background(), both, names[0], names[1], nil)
		check(t, err)
		wantStatusOfReleases(cs.RecvMsg(text("")))
	}
}
