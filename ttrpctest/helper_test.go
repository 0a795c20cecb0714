//go:build go1.25

package ttrpctest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/ttrpctest"
)

const service = "test.Service"

var bg = context.Background()

// method makes a unary method of a function from text to text.
func method(f func(ctx context.Context, in string) (string, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		out, err := f(ctx, in.Value)
		return wrapperspb.String(out), err
	}
}

// register registers a service that echoes, and other methods.
func register(methods map[string]ttrpc.Method) func(*ttrpc.Server) {
	return func(s *ttrpc.Server) {
		all := map[string]ttrpc.Method{"echo": method(func(_ context.Context, in string) (string, error) { return in, nil })}
		for name, m := range methods {
			all[name] = m
		}
		s.RegisterService(service, &ttrpc.ServiceDesc{Methods: all, Streams: map[string]ttrpc.Stream{
			"chat": {StreamingClient: true, StreamingServer: true, Handler: chat},
		}})
	}
}

// chat sends back what it receives.
func chat(_ context.Context, ss ttrpc.StreamServer) (any, error) {
	for {
		m := new(wrapperspb.StringValue)
		if err := ss.RecvMsg(m); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if err := ss.SendMsg(m); err != nil {
			return nil, err
		}
	}
}

func call(ctx context.Context, c *ttrpc.Client, name, in string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.Call(ctx, service, name, wrapperspb.String(in), out)
	return out.Value, err
}

func wantEcho(t testing.TB, c *ttrpc.Client) {
	t.Helper()
	if out, err := call(bg, c, "echo", "x"); err != nil || out != "x" {
		t.Fatalf("echo: %q, %v", out, err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// test is a test in the test, which may fail.
type test struct {
	cleanups []func()
	failures []string
	failed   bool // by its own doing
}

func (t *test) Helper()          {}
func (t *test) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *test) Failed() bool     { return t.failed || len(t.failures) > 0 }
func (t *test) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *test) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// run runs a test with its cleanups, and returns how it failed.
func run(f func(t *test)) string {
	t := new(test)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(t.cleanups); i > 0; i-- {
				t.cleanups[i-1]()
			}
		}()
		f(t)
	}()
	<-done
	return strings.Join(t.failures, "\n")
}

var (
	_ ttrpctest.TB = (*test)(nil)
	_ ttrpctest.TB = testing.TB(nil)
)
