package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	grpcttrpc "github.com/containerd/ttrpc/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
)

// failure is what the interoperability client panics with here: it tells of failures by grpc's log,
// whose Fatal ends the process otherwise.
type failure string

// panicLogger is a log of grpc's that panics where it would end the process.
type panicLogger struct{ grpclog.LoggerV2 }

func (panicLogger) Fatal(args ...any)                 { panic(failure(fmt.Sprint(args...))) }
func (panicLogger) Fatalln(args ...any)               { panic(failure(fmt.Sprintln(args...))) }
func (panicLogger) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// FatalDepth and its kin are what grpc's components call.
func (panicLogger) FatalDepth(_ int, args ...any) { panic(failure(fmt.Sprint(args...))) }

func (panicLogger) InfoDepth(int, ...any)    {}
func (panicLogger) WarningDepth(int, ...any) {}
func (panicLogger) ErrorDepth(int, ...any)   {}

func TestMain(m *testing.M) {
	grpclog.SetLoggerV2(panicLogger{grpclog.NewLoggerV2(os.Stderr, os.Stderr, os.Stderr)})
	code := m.Run()
	for end := time.Now().Add(time.Minute); code == 0; runtime.Gosched() {
		buf := make([]byte, 1<<20)
		_, others, _ := strings.Cut(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		if !strings.Contains(others, "containerd/ttrpc") {
			break
		}
		if time.Now().After(end) {
			fmt.Println("leaked goroutines:\n", others)
			code = 1
		}
	}
	os.Exit(code)
}

// conn returns a client of a server that has grpc-go's test service.
func conn(t *testing.T) *grpcttrpc.ClientConn {
	t.Helper()
	server, err := ttrpc.NewServer()
	check(t, err)
	grpc_testing.RegisterTestServiceServer(grpcttrpc.NewRegistrar(server), interop.NewTestServer())
	dir, err := os.MkdirTemp("", "t") // whose name fits into a socket's address
	check(t, err)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	check(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	netConn, err := net.Dial("unix", l.Addr().String())
	check(t, err)
	client := ttrpc.NewClient(netConn)
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-served
		os.RemoveAll(dir)
	})
	return grpcttrpc.NewClientConn(client)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a case of the client and returns what it fails with.
func run(f func()) (failed failure) {
	defer func() {
		if v := recover(); v != nil {
			failed = v.(failure)
		}
	}()
	f()
	return ""
}

func TestInterop(t *testing.T) {
	for name, do := range map[string]func(context.Context, grpc_testing.TestServiceClient, ...grpc.CallOption){
		"empty unary":              interop.DoEmptyUnaryCall,
		"large unary":              interop.DoLargeUnaryCall,
		"client streaming":         interop.DoClientStreaming,
		"server streaming":         interop.DoServerStreaming,
		"ping pong":                interop.DoPingPong,
		"empty stream":             interop.DoEmptyStream,
		"timeout on a slow server": interop.DoTimeoutOnSleepingServer,
		"cancel after begin":       interop.DoCancelAfterBegin,
		"cancel after response":    interop.DoCancelAfterFirstResponse,
		"status code and message":  interop.DoStatusCodeAndMessage,
		"special status message":   interop.DoSpecialStatusMessage,
	} {
		t.Run(name, func(t *testing.T) {
			client := grpc_testing.NewTestServiceClient(conn(t))
			if failed := run(func() { do(t.Context(), client) }); failed != "" {
				t.Error(failed)
			}
		})
	}
}

func TestUnimplemented(t *testing.T) {
	cc := conn(t)
	grpcConn, err := cc.GRPC()
	check(t, err)
	defer grpcConn.Close()
	failed := run(func() {
		interop.DoUnimplementedService(t.Context(), grpc_testing.NewUnimplementedServiceClient(cc))
		interop.DoUnimplementedMethod(t.Context(), grpcConn)
	})
	if failed != "" {
		t.Error(failed)
	}
}

// TestCustomMetadata fails by the headers alone, which ttrpc does not carry.
func TestCustomMetadata(t *testing.T) {
	client := grpc_testing.NewTestServiceClient(conn(t))
	failed := run(func() { interop.DoCustomMetadata(t.Context(), client) })
	if want := "Expected exactly one header from server. Received 0"; !strings.HasSuffix(string(failed), want) {
		t.Errorf("got %q, want %q", failed, want)
	}
}
