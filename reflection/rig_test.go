//go:build go1.25

package reflection_test

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
	"github.com/containerd/ttrpc/internal/reflectionpb"
	"github.com/containerd/ttrpc/reflection"
)

// pair starts a server and a client of it, which end with the test.
func pair(t *testing.T) (*ttrpc.Server, *ttrpc.Client) {
	t.Helper()
	s, err := ttrpc.NewServer()
	check(t, err)
	t.Cleanup(func() { s.Close() })
	l := pipe.Listen()
	go s.Serve(context.Background(), l)
	conn, err := l.Dial(pipe.Options{}, pipe.Options{})
	check(t, err)
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { client.Close() })
	return s, client
}

// run runs a test in a bubble with a server that has reflection, and a client.
func run(t *testing.T, test func(t *testing.T, s *ttrpc.Server, client *ttrpc.Client), opts ...reflection.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, client := pair(t)
		reflection.Register(s, opts...)
		test(t, s, client)
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if st, ok := status.FromError(err); !ok || st.Code() != code || st.Message() != text {
		t.Fatalf("got %v, want %v %q", err, code, text)
	}
}

// names lists the files of a set in their order.
func names(set *descriptorpb.FileDescriptorSet) (names string) {
	for _, fd := range set.GetFile() {
		names += " " + fd.GetName()
	}
	return names
}

// open opens a stream of the service.
func open(t *testing.T, ctx context.Context, client *ttrpc.Client) ttrpc.ClientStream {
	t.Helper()
	desc := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	stream, err := client.NewStream(ctx, desc, "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo", nil)
	check(t, err)
	return stream
}

// ask asks a stream for one thing.
func ask(t *testing.T, stream ttrpc.ClientStream, question reflectionpb.Question, name string, number int32) *reflectionpb.Response {
	t.Helper()
	check(t, stream.SendMsg(&reflectionpb.Request{Question: question, Name: name, Number: number}))
	resp := new(reflectionpb.Response)
	check(t, stream.RecvMsg(resp))
	return resp
}
