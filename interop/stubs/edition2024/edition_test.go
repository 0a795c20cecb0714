package edition2024

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/ttrpctest"
)

type edition struct{}

func (edition) Ask(_ context.Context, req *Request) (*Request, error) {
	return Request_builder{Name: proto.String("re: " + req.GetName()), Mood: Mood_MOOD_CALM.Enum()}.Build(), nil
}

func (edition) Watch(_ context.Context, req *Request, stream Edition_WatchServer) error {
	for i := range int64(len(req.GetName())) {
		if err := stream.Send(Event_builder{Detail: Event_Detail_builder{Number: &i}.Build()}.Build()); err != nil {
			return err
		}
	}
	return nil
}

func serve(t *testing.T) EditionClient {
	server := ttrpctest.NewServer(t, func(s *ttrpc.Server) { RegisterEditionService(s, edition{}) })
	return NewEditionClient(server.Client())
}

func TestUnary(t *testing.T) {
	reply, err := serve(t).Ask(t.Context(), Request_builder{Name: proto.String("name")}.Build())
	if err != nil || reply.GetName() != "re: name" || reply.GetMood() != Mood_MOOD_CALM {
		t.Error(reply, err)
	}
}

func TestStream(t *testing.T) {
	stream, err := serve(t).Watch(t.Context(), Request_builder{Name: proto.String("abc")}.Build())
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		if event, err := stream.Recv(); err != nil || event.GetDetail().GetNumber() != i {
			t.Fatal(event, err)
		}
	}
	if event, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Error(event, err)
	}
}

// TestDescriptor: the generated code says of which edition it is, and needs no package that is
// imported for options alone.
func TestDescriptor(t *testing.T) {
	file := protodesc.ToFileDescriptorProto(File_edition_proto)
	if file.GetEdition() != descriptorpb.Edition_EDITION_2024 || len(file.Dependency) != 0 {
		t.Error(file)
	}
}
