//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// svc is the service that the tests' servers have: see standard.
const svc = "test.Service"

var (
	bg   = context.Background()
	both = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	up   = &ttrpc.StreamDesc{StreamingClient: true}
	down = &ttrpc.StreamDesc{StreamingServer: true}
)

type message = wrapperspb.StringValue

func text(s string) *message { return wrapperspb.String(s) }

// unary makes a method of a function from text to text.
func unary(f func(ctx context.Context, in string) (string, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		in := new(message)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		out, err := f(ctx, in.Value)
		if err != nil {
			return nil, err
		}
		return text(out), nil
	}
}

// methodOf makes a method of a function from text to any message.
func methodOf(f func(ctx context.Context, in string) (any, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		in := new(message)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		return f(ctx, in.Value)
	}
}

func echo(_ context.Context, in string) (string, error) { return in, nil }

// hold runs until its context ends.
func hold(ctx context.Context, _ string) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// bidi and downStream make a stream of a function.
func bidi(f func(context.Context, ttrpc.StreamServer) error) ttrpc.Stream {
	return ttrpc.Stream{StreamingClient: true, StreamingServer: true, Handler: handler(f)}
}

func downStream(f func(context.Context, ttrpc.StreamServer) error) ttrpc.Stream {
	return ttrpc.Stream{StreamingServer: true, Handler: handler(f)}
}

func handler(f func(context.Context, ttrpc.StreamServer) error) ttrpc.StreamHandler {
	return func(ctx context.Context, ss ttrpc.StreamServer) (any, error) { return nil, f(ctx, ss) }
}

// standard is what every test server serves.
func standard() *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"echo":  unary(echo),
			"hold":  unary(hold),
			"fail":  unary(func(_ context.Context, in string) (string, error) { return "", status.Error(codes.NotFound, in) }),
			"empty": unary(func(context.Context, string) (string, error) { return "", nil }),
		},
		Streams: map[string]ttrpc.Stream{
			"chat": bidi(chat),
			"mute": bidi(func(ctx context.Context, _ ttrpc.StreamServer) error { <-ctx.Done(); return ctx.Err() }),
			"list": downStream(list),
			"join": {StreamingClient: true, Handler: join},
			"flood": downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
				for {
					if err := ss.SendMsg(text(strings.Repeat("f", 1000))); err != nil {
						return err
					}
				}
			}),
		},
	}
}

// chat sends back what it receives.
func chat(_ context.Context, ss ttrpc.StreamServer) error {
	for {
		in := new(message)
		if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := ss.SendMsg(in); err != nil {
			return err
		}
	}
}

// list sends as many messages as it is asked for: 0, 1, 2, ...
func list(_ context.Context, ss ttrpc.StreamServer) error {
	in := new(message)
	if err := ss.RecvMsg(in); err != nil {
		return err
	}
	n, err := strconv.Atoi(in.Value)
	for i := 0; i < n && err == nil; i++ {
		err = ss.SendMsg(text(strconv.Itoa(i)))
	}
	return err
}

// join answers with all that it receives, in brackets.
func join(_ context.Context, ss ttrpc.StreamServer) (any, error) {
	var all strings.Builder
	for {
		in := new(message)
		if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
			return text(all.String()), nil
		} else if err != nil {
			return nil, err
		}
		all.WriteString("[" + in.Value + "]")
	}
}

// gate is a method, or a stream, whose handlers say that they have started and wait to be let go.
// They do not look at their context.
type gate struct {
	started chan string // what the call brought
	release chan struct{}
}

func newGate() *gate { return &gate{make(chan string, 1000), make(chan struct{})} }

func (g *gate) pass(in string) {
	g.started <- in
	<-g.release
}

func (g *gate) unary() ttrpc.Method {
	return unary(func(_ context.Context, in string) (string, error) { g.pass(in); return in, nil })
}

func (g *gate) stream() ttrpc.Stream {
	return bidi(func(ctx context.Context, ss ttrpc.StreamServer) error { g.pass(""); return chat(ctx, ss) })
}

func (g *gate) open() { close(g.release) }

// call makes a unary call of the test service.
func call(ctx context.Context, c *ttrpc.Client, method, in string) (string, error) {
	resp := new(message)
	err := c.Call(ctx, svc, method, text(in), resp)
	return resp.Value, err
}

// wantEcho makes sure that a connection works.
func wantEcho(t testing.TB, c *ttrpc.Client) {
	t.Helper()
	out, err := call(bg, c, "echo", "still here")
	check(t, err)
	equal(t, out, "still here")
}

// goCall starts a unary call and returns where its error will be.
func goCall(ctx context.Context, c *ttrpc.Client, method, in string) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := call(ctx, c, method, in)
		result <- err
	}()
	return result
}

func open(t testing.TB, ctx context.Context, c *ttrpc.Client, desc *ttrpc.StreamDesc, method string, req any) ttrpc.ClientStream {
	t.Helper()
	cs, err := c.NewStream(ctx, desc, svc, method, req)
	check(t, err)
	return cs
}

// recvText receives one message.
func recvText(s interface{ RecvMsg(any) error }) (string, error) {
	m := new(message)
	err := s.RecvMsg(m)
	return m.Value, err
}

// wantTexts receives messages and the end of a stream.
func wantTexts(t testing.TB, s interface{ RecvMsg(any) error }, want ...string) {
	t.Helper()
	wantNext(t, s, want...)
	_, err := recvText(s)
	wantExactly(t, err, io.EOF)
}

// wantNext receives messages.
func wantNext(t testing.TB, s interface{ RecvMsg(any) error }, want ...string) {
	t.Helper()
	for i, w := range want {
		got, err := recvText(s)
		if err != nil || got != w {
			t.Fatalf("message %d: %q, %v; want %q", i, got, err, w)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantIs(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Fatalf("got error %v, want one that is %v", err, target)
		}
	}
}

// wantExactly is for errors that users compare with ==.
func wantExactly(t testing.TB, err, want error) {
	t.Helper()
	if err != want {
		t.Fatalf("got error %v (%T), want exactly %v", err, err, want)
	}
}

func wantStatus(t testing.TB, err error, code codes.Code, msg string) {
	t.Helper()
	st, ok := status.FromError(err)
	if err == nil || !ok || st.Code() != code || st.Message() != msg {
		t.Fatalf("got error %v (%T), want status %v %q", err, err, code, msg)
	}
}

// logBuffer records what a logger is told.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// logger logs everything, whatever its level.
func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// patience is when a hang fails its own test and not the whole run.
const patience = time.Minute

// wait waits for a channel, for a long time at most: a hang fails its own test and not the whole
// run.
func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

// frozen runs a test in a bubble whose clock stands still while anybody waits for a socket: that is
// no wait which the bubble's time can end. However slow the machine is, no timer comes before what
// it bounds: a linger of a second, or a moment for the last answer.
func frozen(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// elapse lets time go by in a synctest bubble.
func elapse(d time.Duration) {
	<-time.NewTimer(d).C
}

// eventually waits for something that has no event of its own.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// panicOf returns what f panics with.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}
