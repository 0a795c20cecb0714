//go:build go1.25

package reflection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/reflectionpb"
	"github.com/containerd/ttrpc/reflection"
)

func TestListServices(t *testing.T) {
	run(t, func(t *testing.T, s *ttrpc.Server, client *ttrpc.Client) {
		s.Register("b.B", nil)
		s.Register("a.A", nil)
		got, err := reflection.ListServices(t.Context(), client)
		check(t, err)
		equal(t, fmt.Sprint(got), "[a.A b.B grpc.reflection.v1.ServerReflection grpc.reflection.v1alpha.ServerReflection]")
		s.Register("later", nil)
		got, err = reflection.ListServices(t.Context(), client)
		check(t, err)
		equal(t, got[len(got)-1], "later")
	})
}

// TestRegistered holds that what the program has registered is found, with what it imports.
func TestRegistered(t *testing.T) {
	const all = " github.com/containerd/ttrpc/request.proto google/rpc/status.proto google/protobuf/any.proto"
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		for _, symbol := range []string{"ttrpc.Request", "ttrpc.Request.metadata"} {
			set, err := reflection.FileContainingSymbol(t.Context(), client, symbol)
			check(t, err)
			equal(t, names(set), all)
		}
		set, err := reflection.FileByFilename(t.Context(), client, "google/rpc/status.proto")
		check(t, err)
		equal(t, names(set), " google/rpc/status.proto google/protobuf/any.proto")
		_, err = reflection.FileByFilename(t.Context(), client, "google/rpc/nothing.proto")
		wantStatus(t, err, codes.NotFound, protoregistry.NotFound.Error())
		_, err = reflection.FileContainingSymbol(t.Context(), client, "ttrpc.Nothing")
		wantStatus(t, err, codes.NotFound, protoregistry.NotFound.Error())
	})
}

// TestBuiltIn holds that the module's own services have descriptors though none is registered.
func TestBuiltIn(t *testing.T) {
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		for symbol, want := range map[string]string{
			"grpc.health.v1.Health":                                           " grpc/health/v1/health.proto",
			"grpc.health.v1.Health.Watch":                                     " grpc/health/v1/health.proto",
			"grpc.health.v1.HealthCheckRequest.service":                       " grpc/health/v1/health.proto",
			"grpc.health.v1.HealthCheckResponse.ServingStatus":                " grpc/health/v1/health.proto",
			"grpc.health.v1.HealthCheckResponse.NOT_SERVING":                  " grpc/health/v1/health.proto",
			"grpc.reflection.v1.ServerReflection":                             " grpc/reflection/v1/reflection.proto",
			"grpc.reflection.v1alpha.ServerReflectionRequest.message_request": " grpc/reflection/v1alpha/reflection.proto",
			"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo":   " grpc/reflection/v1alpha/reflection.proto",
		} {
			set, err := reflection.FileContainingSymbol(t.Context(), client, symbol)
			check(t, err)
			equal(t, names(set), want)
		}
		stream := open(t, t.Context(), client)
		const message, numbers = "grpc.health.v1.HealthCheckRequest", reflectionpb.AllExtensionNumbersOfType
		equal(t, ask(t, stream, numbers, message, 0).Answer, reflectionpb.ExtensionNumbers)
		equal(t, ask(t, stream, numbers, "grpc.health.v1.Nothing", 0).Answer, reflectionpb.Failure)
		equal(t, ask(t, stream, reflectionpb.FileContainingExtension, message, 1).Answer, reflectionpb.Failure)
	})
}

// TestFilesAreSentOnce holds that a stream gets a file that others import once, and what it asks
// for each time.
func TestFilesAreSentOnce(t *testing.T) {
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		stream := open(t, t.Context(), client)
		for _, step := range []struct {
			file string
			want int
		}{
			{"google/rpc/status.proto", 2}, {"google/rpc/status.proto", 1},
			{"github.com/containerd/ttrpc/request.proto", 1}, {"google/protobuf/any.proto", 1},
		} {
			equal(t, len(ask(t, stream, reflectionpb.FileByFilename, step.file, 0).Files), step.want)
		}
		resp := ask(t, open(t, t.Context(), client), reflectionpb.FileByFilename, "github.com/containerd/ttrpc/request.proto", 0)
		equal(t, len(resp.Files), 3)
		equal(t, resp.OriginalRequest.Name, "github.com/containerd/ttrpc/request.proto")
	})
}

func TestInvalidRequest(t *testing.T) {
	run(t, func(t *testing.T, _ *ttrpc.Server, client *ttrpc.Client) {
		stream := open(t, t.Context(), client)
		check(t, stream.SendMsg(&reflectionpb.Request{Host: "h"}))
		wantStatus(t, stream.RecvMsg(new(reflectionpb.Response)), codes.InvalidArgument, "invalid MessageRequest: <nil>")
	})
}

// TestEnds holds that a stream that nobody ends does not outlast its server, client or context.
func TestEnds(t *testing.T) {
	for name, end := range map[string]func(s *ttrpc.Server, client *ttrpc.Client) error{
		"Shutdown":       func(s *ttrpc.Server, _ *ttrpc.Client) error { return s.Shutdown(context.Background()) },
		"server's Close": func(s *ttrpc.Server, _ *ttrpc.Client) error { return s.Close() },
		"client's Close": func(_ *ttrpc.Server, client *ttrpc.Client) error { return client.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, s *ttrpc.Server, client *ttrpc.Client) {
				stream := open(t, t.Context(), client)
				ask(t, stream, reflectionpb.ListServices, "", 0)
				check(t, end(s, client))
				err := stream.RecvMsg(new(reflectionpb.Response))
				if name != "client's Close" && status.Code(err) == codes.Unavailable {
					return // the handler was faster than the end of the connection
				}
				if name == "Shutdown" || !errors.Is(err, ttrpc.ErrClosed) {
					t.Errorf("ends with %v", err)
				}
			})
		})
	}
	run(t, func(t *testing.T, s *ttrpc.Server, client *ttrpc.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stream := open(t, ctx, client)
		ask(t, stream, reflectionpb.ListServices, "", 0)
		equal(t, stream.RecvMsg(new(reflectionpb.Response)), context.DeadlineExceeded)
		synctest.Wait()
		check(t, s.Shutdown(context.Background())) // waits for no handler
	})
}

func TestRegisterTwicePanics(t *testing.T) {
	s, err := ttrpc.NewServer()
	check(t, err)
	reflection.Register(s)
	defer func() {
		equal(t, fmt.Sprint(recover()), "duplicate service grpc.reflection.v1.ServerReflection registered")
	}()
	reflection.Register(s)
}

// TestClientFaults holds what a client says of servers that do not answer what they were asked.
func TestClientFaults(t *testing.T) {
	for _, c := range []struct {
		name, want string
		answer     func(stream ttrpc.StreamServer) error
	}{
		{"no answer", "reflection: the server does not answer: unexpected EOF", func(ttrpc.StreamServer) error { return nil }},
		{"another answer", "reflection: the server answers with field 4, want 6", func(stream ttrpc.StreamServer) error {
			return stream.SendMsg(&reflectionpb.Response{Answer: reflectionpb.Files})
		}},
		{"a failure", "rpc error: code = NotFound desc = why", func(stream ttrpc.StreamServer) error {
			return stream.SendMsg(&reflectionpb.Response{Answer: reflectionpb.Failure, Code: 5, Text: "why"})
		}},
		{"an error", "why", func(ttrpc.StreamServer) error { return errors.New("why") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := reflection.ListServices(t.Context(), serveStream(t, c.answer))
			if err == nil || err.Error() != c.want && err.Error() != "rpc error: code = Unknown desc = "+c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	malformed := func(stream ttrpc.StreamServer) error {
		return stream.SendMsg(&reflectionpb.Response{Answer: reflectionpb.Files, Files: [][]byte{[]byte("\x0a")}})
	}
	if set, err := reflection.FileByFilename(t.Context(), serveStream(t, malformed), "a.proto"); err == nil {
		t.Errorf("a malformed file is taken: %v", set)
	}
}

// serveStream returns a client of a server whose reflection is one function.
func serveStream(t *testing.T, answer func(stream ttrpc.StreamServer) error) *ttrpc.Client {
	t.Helper()
	s, client := pair(t)
	s.RegisterService("grpc.reflection.v1.ServerReflection", &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
		"ServerReflectionInfo": {
			Handler: func(_ context.Context, stream ttrpc.StreamServer) (any, error) {
				if err := stream.RecvMsg(new(reflectionpb.Request)); err != nil {
					return nil, err
				}
				return nil, answer(stream)
			},
			StreamingClient: true, StreamingServer: true,
		},
	}})
	return client
}
