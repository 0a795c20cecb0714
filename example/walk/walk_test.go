package walk_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/containerd/ttrpc/example/shim"
	"github.com/containerd/ttrpc/example/walk"
)

// pipeListener hands out one connection that lives in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipe() (*pipeListener, net.Conn) {
	server, client := net.Pipe()
	l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- server
	return l, client
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// All steps in a bubble: it ends only when every goroutine of both ends has, so nothing leaks.
func TestAllStepsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := shim.New()
		if err != nil {
			t.Fatal(err)
		}
		l, conn := newPipe()
		served := make(chan error, 1)
		go func() { served <- server.Serve(t.Context(), l) }()
		client := ttrpc.NewClient(conn)
		defer client.Close()
		var out bytes.Buffer
		if err := walk.Run(t.Context(), client, walk.Config{Out: &out, Shutdown: true}); err != nil {
			t.Errorf("Run: %v\n%s", err, out.String())
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		for _, step := range append(walk.StepNames(), "shutdown") {
			if !strings.Contains(out.String(), step) {
				t.Errorf("no line of step %s in\n%s", step, out.String())
			}
		}
	})
}

// A server whose context ends answers the call in flight and ends without an error.
func TestServerContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := shim.New()
		if err != nil {
			t.Fatal(err)
		}
		l, conn := newPipe()
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx, l) }()
		client := ttrpc.NewClient(conn)
		defer client.Close()
		if err := walk.Run(t.Context(), client, walk.Config{Out: &bytes.Buffer{}, Steps: []string{"unary"}}); err != nil {
			t.Error(err)
		}
		cancel()
		start := time.Now()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if waited := time.Since(start); waited != 0 { // bubble time: it had nothing to wait for
			t.Errorf("an idle server took %v to end", waited)
		}
	})
}

func TestOverUnixSocket(t *testing.T) {
	server, err := shim.New(shim.SameUser()...)
	if err != nil {
		t.Fatal(err)
	}
	addr := "unix://" + filepath.Join(t.TempDir(), "s")
	l, err := shim.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serveTwice(addr, server, l) }()
	client, err := walk.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var out bytes.Buffer
	if err := walk.Run(t.Context(), client, walk.Config{Out: &out, Shutdown: true, Restart: addr}); err != nil {
		t.Errorf("Run: %v\n%s", err, out.String())
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// serveTwice has another server take a server's place when that has ended.
func serveTwice(addr string, server *shim.Server, l net.Listener) error {
	if err := server.Serve(context.Background(), l); err != nil {
		return err
	}
	next, err := shim.New(shim.SameUser()...)
	if err != nil {
		return err
	}
	if l, err = shim.Listen(addr); err != nil {
		return err
	}
	return next.Serve(context.Background(), l)
}

// A walk stops at the first step that goes wrong, and says which.
func TestClosedClientFailsTheWalk(t *testing.T) {
	server, conn := net.Pipe()
	server.Close()
	client := ttrpc.NewClient(conn)
	defer client.Close()
	var out bytes.Buffer
	err := walk.Run(t.Context(), client, walk.Config{Out: &out, Steps: []string{"unary", "metadata"}})
	if !errors.Is(err, ttrpc.ErrClosed) || !strings.Contains(err.Error(), "step unary with google stubs") {
		t.Errorf("Run: %v; want %v in step unary", err, ttrpc.ErrClosed)
	}
	if !strings.Contains(out.String(), "FAILED") || strings.Contains(out.String(), "metadata") {
		t.Errorf("lines:\n%s", out.String())
	}
}

func TestUnknownStep(t *testing.T) {
	err := walk.Run(t.Context(), nil, walk.Config{Steps: []string{"unary", "dance"}})
	if err == nil || !strings.Contains(err.Error(), `"dance"`) {
		t.Errorf("Run: %v", err)
	}
}

func TestBadAddress(t *testing.T) {
	for _, addr := range []string{"", "unix://", "tcp://127.0.0.1:1", "/tmp/x.sock"} {
		if _, err := walk.Dial(t.Context(), addr); err == nil {
			t.Errorf("Dial(%q) gives no error", addr)
		}
		if _, err := shim.Listen(addr); err == nil {
			t.Errorf("Listen(%q) gives no error", addr)
		}
	}
}
