//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

func TestRegisterTwicePanics(t *testing.T) {
	twice := map[string]func(s *ttrpc.Server){
		"Register":                       func(s *ttrpc.Server) { s.Register("a.b", nil); s.Register("a.b", nil) },
		"RegisterService":                func(s *ttrpc.Server) { s.RegisterService("a.b", nil); s.RegisterService("a.b", standard()) },
		"Register, then RegisterService": func(s *ttrpc.Server) { s.Register("a.b", nil); s.RegisterService("a.b", nil) },
	}
	for name, register := range twice {
		t.Run(name, func(t *testing.T) {
			s, err := ttrpc.NewServer()
			check(t, err)
			defer func() { equal(t, fmt.Sprint(recover()), "duplicate service a.b registered") }()
			register(s)
		})
	}
}

func TestRegisteredNames(t *testing.T) {
	var tr trace
	r := serve(t, ttrpc.WithUnaryServerInterceptor(
		func(ctx context.Context, u ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			tr.add(info.FullMethod)
			return m(ctx, u)
		}))
	r.Register("", map[string]ttrpc.Method{"": unary(echo)})
	r.Register("/a/b", map[string]ttrpc.Method{"/c": unary(echo)})
	r.Register("a", map[string]ttrpc.Method{"b": unary(echo), "nil": nil})
	r.RegisterService("nothing", nil)
	c := r.client()
	for _, name := range [][2]string{{"", ""}, {"/a/b", "/c"}, {"a", "b"}} {
		out := new(message)
		check(t, c.Call(bg, name[0], name[1], text("x"), out))
		equal(t, out.Value, "x")
	}
	equal(t, tr.take(), "/ //a/b/c /a/b")
	for name, want := range map[[2]string]string{
		{"a/b", "c"}: "service a/b", {"nothing", "m"}: "method m", {"a", "nil"}: "method nil", {"A", "b"}: "service A", {"a", "B"}: "method B",
	} {
		wantStatus(t, c.Call(bg, name[0], name[1], text("x"), new(message)), codes.Unimplemented, want)
		_, err := recvText(openOf(t, c, name[0], name[1]))
		wantStatus(t, err, codes.Unimplemented, want)
	}
}

// What Services returns is what is registered, and the caller's own.
func TestServicesAreCopiesOfWhatIsRegistered(t *testing.T) {
	s, err := ttrpc.NewServer()
	check(t, err)
	equal(t, len(s.Services()), 0)
	s.Register("a", map[string]ttrpc.Method{"unary": unary(echo)})
	s.RegisterService("b", &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{"stream": {StreamingServer: true}}})
	s.RegisterService("nothing", nil)
	got := s.Services()
	equal(t, len(got), 3)
	equal(t, got["a"].Methods["unary"] != nil, true)
	equal(t, got["b"].Streams["stream"].StreamingServer, true)
	delete(got["a"].Methods, "unary")
	equal(t, len(s.Services()["a"].Methods), 1)
}

// A handler learns of the shutdown that waits for it.
func TestDoneIsClosedByAnyEnd(t *testing.T) {
	for name, end := range map[string]func(s *ttrpc.Server) error{
		"Shutdown": func(s *ttrpc.Server) error { return s.Shutdown(bg) },
		"Close":    (*ttrpc.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			var r *rig
			begun, ended := make(chan struct{}), make(chan struct{})
			r = serve(t, withMethod("Watch", func(context.Context, func(any) error) (any, error) {
				close(begun)
				<-r.Done()
				close(ended)
				return text("done"), nil
			}))
			called := make(chan error, 1)
			c := r.client()
			go func() { called <- c.Call(bg, svc, "Watch", text("x"), new(message)) }()
			<-begun
			select {
			case <-r.Done():
				t.Error("Done before the end")
			default:
			}
			check(t, end(r.Server))
			<-ended
			<-r.Done()
			if err := <-called; name == "Shutdown" && err != nil {
				t.Errorf("the call ends with %v", err)
			}
		})
	}
}

// openOf opens a stream of any service.
func openOf(t *testing.T, c *ttrpc.Client, service, method string) ttrpc.ClientStream {
	t.Helper()
	cs, err := c.NewStream(bg, both, service, method, nil)
	check(t, err)
	return cs
}

func TestServerWithoutServices(t *testing.T) {
	s, err := ttrpc.NewServer()
	check(t, err)
	l := listen(t, "unix")
	go s.Serve(bg, l)
	defer s.Close()
	c := (&rig{t: t, l: l}).client()
	_, err = call(bg, c, "echo", "x")
	wantStatus(t, err, codes.Unimplemented, "service "+svc)
}

// A method and a stream of one name: the method is served. A stream without a handler is none.
func TestMethodAndStreamOfOneName(t *testing.T) {
	c := serve(t, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"twin": unary(echo)},
		Streams: map[string]ttrpc.Stream{"twin": bidi(chat), "nil": {StreamingClient: true}},
	}).client()
	out, err := call(bg, c, "twin", "x")
	check(t, err)
	equal(t, out, "x")
	_, err = recvText(open(t, bg, c, both, "nil", nil))
	wantStatus(t, err, codes.Unimplemented, "method nil")
}

func TestRegisterWhileServing(t *testing.T) {
	r := serve(t)
	c := r.client()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := fmt.Sprint("service", i)
			r.Register(name, map[string]ttrpc.Method{"echo": unary(echo)})
			if err := c.Call(bg, name, "echo", text("x"), new(message)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
