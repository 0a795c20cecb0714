//go:build go1.25

package ttrpc_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// rig is a server on a listener, and the options of the clients that it makes.
type rig struct {
	*ttrpc.Server
	t          testing.TB
	l          net.Listener
	served     chan error // Serve's result
	clientOpts []ttrpc.ClientOpts
}

// network is a transport for serve and its kin: unix by default, tcp, or pipe (net.Pipe).
type network string

// serve starts a server of the standard service and others. opts are ServerOpt, ClientOpts,
// network, net.Listener and *ServiceDesc, whose methods join the standard ones. All ends with the
// test.
func serve(t testing.TB, opts ...any) *rig {
	t.Helper()
	r := &rig{t: t, served: make(chan error, 1)}
	desc, transport := standard(), network("unix")
	var serverOpts []ttrpc.ServerOpt
	for _, opt := range opts {
		switch opt := opt.(type) {
		case ttrpc.ServerOpt:
			serverOpts = append(serverOpts, opt)
		case ttrpc.ClientOpts:
			r.clientOpts = append(r.clientOpts, opt)
		case network:
			transport = opt
		case net.Listener:
			r.l = opt
		case *ttrpc.ServiceDesc:
			for name, m := range opt.Methods {
				desc.Methods[name] = m
			}
			for name, s := range opt.Streams {
				desc.Streams[name] = s
			}
		default:
			t.Fatalf("no option of a rig: %T", opt)
		}
	}
	s, err := ttrpc.NewServer(serverOpts...)
	check(t, err)
	s.RegisterService(svc, desc)
	r.Server = s
	if r.l == nil {
		r.l = listen(t, transport)
	}
	l := r.l
	go func() { r.served <- s.Serve(bg, l) }()
	t.Cleanup(func() {
		s.Close()
		// The bound is for handlers that never return, as some tests have them.
		ctx, cancel := context.WithTimeout(bg, 10*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // nothing of this test runs beside the next one
	})
	return r
}

// method is a ServiceDesc with one unary method.
func withMethod(name string, m ttrpc.Method) *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{name: m}}
}

func withStream(name string, s ttrpc.Stream) *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{name: s}}
}

func listen(t testing.TB, transport network) net.Listener {
	t.Helper()
	var l net.Listener
	var err error
	switch transport {
	case "pipe":
		return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	case "unix":
		l, err = net.Listen("unix", filepath.Join(shortTempDir(t), "s"))
	case "tcp":
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// shortTempDir is a folder whose name fits into a socket's address, whatever the test is called.
func shortTempDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "t")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// conn dials the rig.
func (r *rig) conn() net.Conn {
	r.t.Helper()
	if l, ok := r.l.(*pipeListener); ok {
		return l.dial()
	}
	conn, err := net.Dial(r.l.Addr().Network(), r.l.Addr().String())
	check(r.t, err)
	return conn
}

// client returns a new client of the rig, closed with the test.
func (r *rig) client(opts ...ttrpc.ClientOpts) *ttrpc.Client {
	r.t.Helper()
	c := ttrpc.NewClient(r.conn(), append(r.clientOpts, opts...)...)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// raw returns a new connection to the rig on which the test speaks for itself.
func (r *rig) raw() *rawPeer {
	r.t.Helper()
	return newRawPeer(r.t, r.conn())
}

// pair returns both ends of a connection, closed with the test.
func pair(t testing.TB, transport network) (a, b net.Conn) {
	t.Helper()
	if transport == "pipe" {
		a, b = net.Pipe()
	} else {
		l := listen(t, transport)
		defer l.Close()
		dialed := make(chan net.Conn, 1)
		go func() {
			conn, _ := net.Dial(l.Addr().Network(), l.Addr().String())
			dialed <- conn
		}()
		var err error
		b, err = l.Accept()
		check(t, err)
		a = <-dialed
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// rawServer returns a client and the other end of its connection, on which the test speaks for the
// server.
func rawServer(t testing.TB, transport network, opts ...ttrpc.ClientOpts) (*ttrpc.Client, *rawPeer) {
	t.Helper()
	a, b := pair(t, transport)
	c := ttrpc.NewClient(a, opts...)
	t.Cleanup(func() { c.Close() })
	return c, newRawPeer(t, b)
}

// pipeListener accepts the ends of net.Pipe.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// dial returns the other end of a new connection; nobody accepts on a closed listener, which closes
// it.
func (l *pipeListener) dial() net.Conn {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
	case <-l.done:
		b.Close()
	}
	return a
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr {
	return &net.UnixAddr{Name: "pipe", Net: "pipe"}
}

// onPipe is serve for the bubbles of synctest, which do not end before every goroutine and timer of
// the server and its clients has. What the options bring has to be made in the bubble, too.
func onPipe(t testing.TB, opts ...any) *rig {
	t.Helper()
	return serve(t, append([]any{pipe.Listen()}, opts...)...)
}

// pipeTo returns an end of a connection to a rig of onPipe's.
func pipeTo(t testing.TB, r *rig) *pipe.Conn {
	t.Helper()
	conn, err := r.l.(*pipe.Listener).Dial(pipe.Options{}, pipe.Options{})
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func pipeClient(t testing.TB, r *rig, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	t.Helper()
	c := ttrpc.NewClient(pipeTo(t, r), opts...)
	t.Cleanup(func() { c.Close() })
	return c
}

// serviceOf is a service with the method "echo" and what is given; its streams go both ways.
func serviceOf(methods map[string]ttrpc.Method, streams map[string]ttrpc.StreamHandler) *ttrpc.ServiceDesc {
	desc := &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"echo": unary(echo)}, Streams: map[string]ttrpc.Stream{}}
	for name, m := range methods {
		desc.Methods[name] = m
	}
	for name, h := range streams {
		desc.Streams[name] = ttrpc.Stream{Handler: h, StreamingClient: true, StreamingServer: true}
	}
	return desc
}

// serveOn serves desc alone on l, or on a new unix socket if l is nil. The test's end closes the
// server and waits for no handler.
func serveOn(t testing.TB, l net.Listener, desc *ttrpc.ServiceDesc, opts ...ttrpc.ServerOpt) (*ttrpc.Server, net.Listener) {
	t.Helper()
	if l == nil {
		l = listen(t, "unix")
	}
	s, err := ttrpc.NewServer(opts...)
	check(t, err)
	s.RegisterService(svc, desc)
	served := make(chan error, 1)
	go func() { served <- s.Serve(bg, l) }()
	t.Cleanup(func() {
		s.Close()
		wait(t, served, "Serve to return")
	})
	return s, l
}

// dial returns a connection to l, closed with the test.
func dial(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// newClient returns a new client on conn, closed with the test.
func newClient(t testing.TB, conn net.Conn, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	c := ttrpc.NewClient(conn, opts...)
	t.Cleanup(func() { c.Close() })
	return c
}

// connListener accepts what is put into it.
type connListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newConnListener(conns ...net.Conn) *connListener {
	l := &connListener{make(chan net.Conn, len(conns)), make(chan struct{})}
	for _, conn := range conns {
		l.conns <- conn
	}
	return l
}

func (l *connListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *connListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *connListener) Addr() net.Addr { return &net.UnixAddr{Name: "conns", Net: "conns"} }
