package grpcttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

var bg = context.Background()

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wire is one of the two ways between a client and a server, and the logs of what happens on it.
type wire struct {
	testing.TB
	name   string // "grpc" or "ttrpc"
	server grpc.ServiceRegistrar
	conn   grpc.ClientConnInterface
	client grpc_testing.TestServiceClient

	closeClient, closeServer func()
	start                    func() // serves, when all services are registered

	began, ended chan struct{} // closed by a handler, where the scenario wants to know

	mu   sync.Mutex // guards the logs
	logs [2][]string
}

// say adds a line to the client's log.
func (w *wire) say(format string, args ...any) { w.write(0, format, args...) }

// tell adds a line to the server's log.
func (w *wire) tell(format string, args ...any) { w.write(1, format, args...) }

func (w *wire) write(side int, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs[side] = append(w.logs[side], fmt.Sprintf(format, args...))
}

// lines returns both logs: what is said on one side has no order with what is said on the other.
func (w *wire) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Concat(w.logs[0], w.logs[1])
}

// service is the test service made of functions.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	unary   func(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error)
	output  func(in *grpc_testing.StreamingOutputCallRequest, stream grpc_testing.TestService_StreamingOutputCallServer) error
	input   func(stream grpc_testing.TestService_StreamingInputCallServer) error
	full    func(stream grpc_testing.TestService_FullDuplexCallServer) error
	options []any // of both wires: interceptors, client's and server's
}

func (s *service) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return s.unary(ctx, in)
}

func (s *service) StreamingOutputCall(
	in *grpc_testing.StreamingOutputCallRequest, stream grpc_testing.TestService_StreamingOutputCallServer,
) error {
	return s.output(in, stream)
}

func (s *service) StreamingInputCall(stream grpc_testing.TestService_StreamingInputCallServer) error {
	return s.input(stream)
}

func (s *service) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	return s.full(stream)
}

// overGRPC starts a server of grpc-go and a client.
func overGRPC(w *wire, s *service) {
	serverOpts := []grpc.ServerOption{grpc.Creds(local.NewCredentials())}
	clientOpts := []grpc.DialOption{grpc.WithTransportCredentials(local.NewCredentials())}
	for _, opt := range s.options {
		switch opt := opt.(type) {
		case grpc.UnaryServerInterceptor:
			serverOpts = append(serverOpts, grpc.ChainUnaryInterceptor(opt))
		case grpc.StreamServerInterceptor:
			serverOpts = append(serverOpts, grpc.ChainStreamInterceptor(opt))
		case grpc.UnaryClientInterceptor:
			clientOpts = append(clientOpts, grpc.WithChainUnaryInterceptor(opt))
		case grpc.StreamClientInterceptor:
			clientOpts = append(clientOpts, grpc.WithChainStreamInterceptor(opt))
		case grpc.CallOption:
			clientOpts = append(clientOpts, grpc.WithDefaultCallOptions(opt))
		case stats.Handler:
			serverOpts = append(serverOpts, grpc.StatsHandler(opt))
			clientOpts = append(clientOpts, grpc.WithStatsHandler(opt))
		default:
			w.Fatalf("no option: %T", opt)
		}
	}
	server := grpc.NewServer(serverOpts...)
	l := listen(w)
	w.serve(server.Serve, l, server, s, server.Stop)
	conn, err := grpc.NewClient("unix:"+l.Addr().String(), clientOpts...)
	check(w, err)
	w.dialed(conn, func() { conn.Close() })
}

// overTTRPC starts a server of ttrpc's and a client.
func overTTRPC(w *wire, s *service) {
	var serverOpts []grpcttrpc.ServerOption
	var clientOpts []grpcttrpc.ClientOption
	var serverStats []ttrpc.ServerOpt
	var clientStats []ttrpc.ClientOpts
	for _, opt := range s.options {
		switch opt := opt.(type) {
		case grpc.UnaryServerInterceptor:
			serverOpts = append(serverOpts, grpcttrpc.ChainUnaryInterceptor(opt))
		case grpc.StreamServerInterceptor:
			serverOpts = append(serverOpts, grpcttrpc.ChainStreamInterceptor(opt))
		case grpc.UnaryClientInterceptor:
			clientOpts = append(clientOpts, grpcttrpc.WithChainUnaryInterceptor(opt))
		case grpc.StreamClientInterceptor:
			clientOpts = append(clientOpts, grpcttrpc.WithChainStreamInterceptor(opt))
		case grpc.CallOption:
			clientOpts = append(clientOpts, grpcttrpc.WithDefaultCallOptions(opt))
		case stats.Handler:
			serverStats = append(serverStats, ttrpc.WithServerStats(grpcttrpc.StatsHandler(opt)))
			clientStats = append(clientStats, ttrpc.WithClientStats(grpcttrpc.StatsHandler(opt)))
		default:
			w.Fatalf("no option: %T", opt)
		}
	}
	server, err := ttrpc.NewServer(serverStats...)
	check(w, err)
	l := listen(w)
	serve := func(l net.Listener) error { return server.Serve(bg, l) }
	w.serve(serve, l, grpcttrpc.NewRegistrar(server, serverOpts...), s, func() { server.Close() })
	client := dial(w, l, clientStats...)
	w.dialed(grpcttrpc.NewClientConn(client, clientOpts...), func() { client.Close() })
}

// dial returns a client of a listener, closed with the test.
func dial(t testing.TB, l net.Listener, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	check(t, err)
	client := ttrpc.NewClient(conn, opts...)
	t.Cleanup(func() { client.Close() })
	return client
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "t") // whose name fits into a socket's address
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	check(t, err)
	return l
}

// both makes both wires, of which each serves when it is started.
func both(t testing.TB, s *service) map[string]*wire {
	wires := map[string]*wire{}
	for name, open := range opens {
		wires[name] = &wire{TB: t, name: name}
		open(wires[name], s)
	}
	return wires
}

var opens = map[string]func(*wire, *service){"grpc": overGRPC, "ttrpc": overTTRPC}

// serve registers a service. Once it is started it is served until the test ends.
func (w *wire) serve(serve func(net.Listener) error, l net.Listener, server grpc.ServiceRegistrar, s *service, stop func()) {
	grpc_testing.RegisterTestServiceServer(server, s)
	w.server = server
	w.closeServer = stop
	w.start = func() {
		served := make(chan error, 1)
		go func() { served <- serve(l) }()
		w.Cleanup(func() { stop(); <-served })
	}
}

func (w *wire) dialed(conn grpc.ClientConnInterface, closeClient func()) {
	w.conn, w.client, w.closeClient = conn, grpc_testing.NewTestServiceClient(conn), closeClient
	w.Cleanup(closeClient)
}

// outcome is an error as both wires have to report it: with its code alone, for the texts of faults
// that a library has found differ.
func outcome(err error) string {
	switch err {
	case nil:
		return "ok"
	case io.EOF:
		return "EOF"
	}
	if _, ok := status.FromError(err); !ok {
		return fmt.Sprintf("no status: %v", err)
	}
	return status.Code(err).String()
}

// full is an error of a handler's, with all that it has.
func full(err error) string {
	if err == nil || err == io.EOF {
		return outcome(err)
	}
	st, ok := status.FromError(err)
	return fmt.Sprintf("%v %q %v %v", st.Code(), st.Message(), st.Details(), ok)
}

// scenario is run over both wires, and both logs must be the same, or be as differs has them.
type scenario struct {
	serve   func(w *wire, s *service)
	run     func(w *wire)
	differs *difference
}

// difference is what a scenario logs where the two wires have to differ.
type difference struct{ grpc, ttrpc []string }

func runScenarios(t *testing.T, scenarios map[string]scenario) {
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := map[string][]string{}
			for name, open := range opens {
				w, s := &wire{TB: t, name: name}, new(service)
				sc.serve(w, s)
				open(w, s)
				w.start()
				sc.run(w)
				logs[name] = w.lines()
			}
			compare(t, sc.differs, logs)
		})
	}
}

func compare(t *testing.T, d *difference, logs map[string][]string) {
	if d == nil {
		d = &difference{logs["grpc"], logs["grpc"]}
	}
	for name, want := range map[string][]string{"grpc": d.grpc, "ttrpc": d.ttrpc} {
		if got := logs[name]; !slices.Equal(got, want) {
			t.Errorf("over %s:\n\t%s\nwant:\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	if len(d.grpc) == 0 {
		t.Error("nothing was logged")
	}
}

// wait bounds what a test waits for: it never ends a test that works.
func wait[T any](t testing.TB, ch <-chan T) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	select {
	case v = <-ch:
	case <-ctx.Done():
		t.Fatal("waited for a minute in vain")
	}
	return v
}

var errTest = errors.New("an error of the test's")
