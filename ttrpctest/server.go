package ttrpctest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/ttrpc"
)

// TB is what this package needs of a testing.TB, which *testing.T, *testing.B and *testing.F are.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
}

// Server is a server for a test. It has the methods of the *ttrpc.Server in it: a test may shut it
// down, or close it, before its end.
type Server struct {
	*ttrpc.Server

	t        TB
	listener *Listener
	served   chan error // Serve's results
	serving  int        // Serves; the test's goroutine's
	handlers handlers
}

// endTimeout is how long the end of a test waits for what is to end with it.
const endTimeout = 10 * time.Second

// NewServer starts a server, on a [Listener] of its own, of the services that register registers;
// it may be nil. With the test the server is closed: its connections end, and with them the
// contexts of its handlers. The end of the test waits for handlers to return, up to ten seconds, so
// that none of them uses t when that is over; the test fails if one has not returned then.
//
// NewServer is Fatal when an option is wrong. It and the methods of Server that do not return an
// error are for the test's own goroutine, as t.Fatal is.
func NewServer(t TB, register func(*ttrpc.Server), opts ...ttrpc.ServerOpt) *Server {
	t.Helper()
	s := &Server{t: t, listener: Listen(), served: make(chan error, 1)}
	server, err := ttrpc.NewServer(append(append([]ttrpc.ServerOpt{}, opts...), s.handlers.interceptors()...)...)
	if err != nil {
		t.Fatalf("ttrpctest: starting a server: %v", err)
	}
	s.Server = server
	if register != nil {
		register(server)
	}
	t.Cleanup(s.end)
	s.serve(s.listener)
	return s
}

func (s *Server) serve(l net.Listener) {
	s.serving++
	go func() { s.served <- s.Serve(context.Background(), l) }()
}

// Client returns a client with a connection of its own. It is closed with the test, before the
// server.
func (s *Server) Client(opts ...ttrpc.ClientOpts) *ttrpc.Client {
	s.t.Helper()
	client := ttrpc.NewClient(s.Dial(), opts...)
	s.t.Cleanup(func() { client.Close() })
	return client
}

// Dial returns the client's end of a new connection, which is closed with the test, for a client
// with faults, or for bytes by hand. Each f is called with it before the server can see it. It is
// Fatal when the server has been closed.
func (s *Server) Dial(f ...func(*Conn)) *Conn {
	s.t.Helper()
	s.refuseIfClosed()
	conn, err := s.listener.Dial(f...)
	if err != nil {
		s.t.Fatalf("ttrpctest: the server is closed: %v", err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// DialContext connects to the server, for code under test that takes a dialler. When the server has
// been closed the error wraps ECONNREFUSED. It may be called by any goroutine.
func (s *Server) DialContext(ctx context.Context) (net.Conn, error) {
	s.refuseIfClosed()
	return s.listener.DialContext(ctx)
}

// refuseIfClosed closes the listener of a server that has been closed: Serve does so as well, but
// perhaps it has not begun yet.
func (s *Server) refuseIfClosed() {
	select {
	case <-s.Done():
		s.listener.Close()
	default:
	}
}

// Conns returns the clients' ends of the connections that are open, for faults in those that code
// under test has dialled, oldest first. Those of [Server.ListenUnix] are not among them.
func (s *Server) Conns() []*Conn { return s.listener.Conns() }

// ListenUnix has the server listen on a unix socket, too, and returns its path, for code under test
// that dials by itself. The socket has a folder of its own, which goes with the test, and a path so
// short that it fits into a socket's address, as one in t.TempDir may not.
func (s *Server) ListenUnix() (path string) {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "ttrpc")
	if err != nil {
		s.t.Fatalf("ttrpctest: making a folder for a socket: %v", err)
	}
	s.t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		s.t.Fatalf("ttrpctest: listening on a unix socket: %v", err)
	}
	s.serve(l)
	return path
}

// end is what happens with the test.
func (s *Server) end() {
	s.t.Helper()
	s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	for range s.serving {
		if err := <-s.served; !errors.Is(err, ttrpc.ErrServerClosed) {
			s.t.Errorf("ttrpctest: Serve has failed: %v", err)
		}
	}
	err := s.Shutdown(ctx) // which waits for the connections
	if err == nil {
		err = s.handlers.wait(ctx)
	}
	if err != nil {
		s.t.Errorf("ttrpctest: the server has not ended %v after it was closed: %v", endTimeout, err)
	}
}

// stillRunning says which handlers have not returned.
type stillRunning []string

// Error names the methods.
func (methods stillRunning) Error() string {
	return fmt.Sprintf("handlers that have not returned, though their contexts have ended: %q", []string(methods))
}
