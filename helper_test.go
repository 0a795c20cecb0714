//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
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

// gate is a method, or a stream, whose handlers say that they have started and wait to be let go. They do not
// look at their context.
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

// serve starts a server of the standard service and others. opts are ServerOpt, ClientOpts, network, net.Listener
// and *ServiceDesc, whose methods join the standard ones. All ends with the test.
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
		ctx, cancel := context.WithTimeout(bg, 10*time.Second) // for handlers that never return, as some tests have them
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

// rawServer returns a client and the other end of its connection, on which the test speaks for the server.
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

// dial returns the other end of a new connection; nobody accepts on a closed listener, which closes it.
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

// wait waits for a channel, for a long time at most: a hang fails its own test and not the whole run.
func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
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
