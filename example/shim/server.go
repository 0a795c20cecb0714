// Package shim is the example's server: one ttrpc server with two services, the same tasks behind
// stubs of google.golang.org/protobuf and behind stubs of gogo/protobuf.
package shim

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/gogotasks"
	"github.com/containerd/ttrpc/example/tasks"
)

// grace is how long a server that ends waits for the calls in flight.
const grace = time.Minute

// Server serves tasks.
type Server struct {
	ttrpc *ttrpc.Server
	store *store
	stop  chan struct{} // closed when a client has called Shutdown
}

// New returns a server that has both services registered. Options come after the example's own.
func New(opts ...ttrpc.ServerOpt) (*Server, error) {
	server, err := ttrpc.NewServer(opts...)
	if err != nil {
		return nil, errors.Wrap(err, "new server")
	}
	s := &Server{ttrpc: server, store: newStore(), stop: make(chan struct{})}
	c := core{store: s.store, stop: sync.OnceFunc(func() { close(s.stop) })}
	tasks.RegisterTasksService(server, googleTasks{core: c})
	gogotasks.RegisterTasksService(server, gogoTasks{core: c})
	return s, nil
}

// Serve answers calls until ctx ends or a client calls Shutdown. Then it asks the tasks to end, and
// returns when the calls in flight, among them those that wait for a task, have been answered. It
// closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	// Handlers' contexts descend from the one given here. It doesn't end with ctx: that only asks
	// for a graceful end, and calls in flight are to be answered, not cancelled.
	go func() { served <- s.ttrpc.Serve(context.WithoutCancel(ctx), l) }()
	select {
	case err := <-served:
		s.store.killAll()
		return errors.Wrap(err, "serve")
	case <-s.stop:
	case <-ctx.Done():
	}
	err := s.shutdown()
	<-served // ErrServerClosed
	return err
}

// shutdown waits for the calls in flight for a while, and then cuts them off.
func (s *Server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	s.store.terminateAll()
	defer s.store.killAll()
	err := s.ttrpc.Shutdown(ctx)
	if err != nil {
		_ = s.ttrpc.Close()
	}
	return errors.Wrap(err, "shutdown")
}

// Listen opens the unix socket of an address such as unix:///run/tasks.sock.
func Listen(address string) (net.Listener, error) {
	path, err := SocketPath(address)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	return l, errors.Wrap(err, "listen")
}

// SocketPath is the path in an address such as unix:///run/tasks.sock.
func SocketPath(address string) (string, error) {
	path, ok := strings.CutPrefix(address, "unix://")
	if !ok || path == "" {
		return "", errors.Errorf("address %q: want unix:// and the path of a socket", address)
	}
	return path, nil
}
