package services

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcreflection "google.golang.org/grpc/reflection"
	pb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/gofeaturespb" // has an extension

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/health"
	"github.com/containerd/ttrpc/reflection"
)

// conversation is a reflection stream.
type conversation interface {
	SendMsg(m any) error
	RecvMsg(m any) error
	CloseSend() error
}

const reflectionMethod = "ServerReflectionInfo"

func converseTTRPC(t *testing.T, client *ttrpc.Client, service string) conversation {
	t.Helper()
	desc := &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}
	stream, err := client.NewStream(t.Context(), desc, service, reflectionMethod, nil)
	check(t, err)
	return stream
}

func converseGRPC(t *testing.T, client *grpc.ClientConn, service string) conversation {
	t.Helper()
	stream, err := client.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/"+service+"/"+reflectionMethod)
	check(t, err)
	return stream
}

func file(name string) *pb.ServerReflectionRequest {
	return &pb.ServerReflectionRequest{MessageRequest: &pb.ServerReflectionRequest_FileByFilename{FileByFilename: name}}
}

func symbol(name string) *pb.ServerReflectionRequest {
	return &pb.ServerReflectionRequest{Host: "h", MessageRequest: &pb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}}
}

func extension(message string, number int32) *pb.ServerReflectionRequest {
	return &pb.ServerReflectionRequest{MessageRequest: &pb.ServerReflectionRequest_FileContainingExtension{
		FileContainingExtension: &pb.ExtensionRequest{ContainingType: message, ExtensionNumber: number},
	}}
}

func extensions(message string) *pb.ServerReflectionRequest {
	return &pb.ServerReflectionRequest{MessageRequest: &pb.ServerReflectionRequest_AllExtensionNumbersOfType{
		AllExtensionNumbersOfType: message,
	}}
}

func list(text string) *pb.ServerReflectionRequest {
	return &pb.ServerReflectionRequest{MessageRequest: &pb.ServerReflectionRequest_ListServices{ListServices: text}}
}

// conversations are what is asked, a stream each: later answers of a stream depend on earlier ones.
var conversations = map[string][]*pb.ServerReflectionRequest{
	"list":       {list(""), list("*"), {Host: "a host", MessageRequest: list("x").MessageRequest}},
	"no request": {{Host: "a host"}},
	"files": {
		file("grpc/health/v1/health.proto"), file("github.com/containerd/ttrpc/request.proto"), file("google/rpc/status.proto"),
		file("google/rpc/status.proto"), file("github.com/containerd/ttrpc/request.proto"),
	},
	"missing": {
		file(""), file("nothing.proto"), symbol(""), symbol("grpc"), symbol("grpc.health.v1"), symbol("a.b"), symbol(".grpc.health.v1.Health"),
		symbol("grpc.health.v1.Health."), symbol("not a name"), extension("", 0), extension("a.b", 1), extension("google.protobuf.FeatureSet", 1),
		extension("google.protobuf.FeatureSet", -1), extensions(""), extensions("a.b"), file("google/protobuf/any.proto"),
	},
	"symbols": {
		symbol("grpc.health.v1.Health"), symbol("grpc.health.v1.Health.Watch"), symbol("grpc.health.v1.HealthCheckResponse.ServingStatus"),
		symbol("grpc.health.v1.HealthCheckResponse.SERVING"), symbol("grpc.health.v1.HealthCheckRequest.service"),
		symbol("grpc.reflection.v1.ServerReflectionRequest.message_request"), symbol("grpc.reflection.v1alpha.ServerReflection"),
		symbol("ttrpc.Request.metadata"), symbol("pb.go"), symbol("google.protobuf.Any"), symbol("google.protobuf.FileOptions.OptimizeMode"),
	},
	"extensions": {
		extension("google.protobuf.FeatureSet", 1002), extensions("google.protobuf.FeatureSet"), extensions("google.protobuf.Any"),
		symbol("pb.go"), extensions("grpc.health.v1.Health"), extension("google.protobuf.FeatureSet", 1002),
	},
}

// converse asks one thing after the other and returns the answers, and the error that ends them.
func converse(t *testing.T, c conversation, questions []*pb.ServerReflectionRequest) (answers []*pb.ServerReflectionResponse, end string) {
	t.Helper()
	for _, q := range questions {
		check(t, c.SendMsg(q))
		answer := new(pb.ServerReflectionResponse)
		if err := c.RecvMsg(answer); err != nil {
			return answers, outcome(nil, err)
		}
		answers = append(answers, answer)
	}
	check(t, c.CloseSend())
	if err := c.RecvMsg(new(pb.ServerReflectionResponse)); err != io.EOF {
		t.Errorf("the end is %v", err)
	}
	return answers, ""
}

// TestReflection holds that package reflection's server says what grpc-go's says, in both versions.
func TestReflection(t *testing.T) {
	grpcClient := overGRPC(t, func(s *grpc.Server) {
		grpc_health_v1.RegisterHealthServer(s, grpchealth.NewServer())
		grpcreflection.Register(s)
	})
	client := overTTRPC(t, func(s *ttrpc.Server) {
		health.NewServer().Register(s)
		reflection.Register(s)
	})
	services := []string{pb.ServerReflection_ServiceDesc.ServiceName, grpc_reflection_v1alpha.ServerReflection_ServiceDesc.ServiceName}
	for name, questions := range conversations {
		for _, service := range services {
			t.Run(name+" "+service, func(t *testing.T) {
				want, wantEnd := converse(t, converseGRPC(t, grpcClient, service), questions)
				got, end := converse(t, converseTTRPC(t, client, service), questions)
				if len(got) != len(want) || end != wantEnd {
					t.Fatalf("%d answers, %q, want %d, %q", len(got), end, len(want), wantEnd)
				}
				for i := range got {
					equalAnswers(t, got[i], want[i])
				}
			})
		}
	}
}

// equalAnswers compares two answers; the bytes of one file may differ.
func equalAnswers(t *testing.T, got, want *pb.ServerReflectionResponse) {
	t.Helper()
	a, b := takeFiles(t, got), takeFiles(t, want)
	if !slices.EqualFunc(a, b, func(a, b *descriptorpb.FileDescriptorProto) bool { return proto.Equal(a, b) }) {
		t.Errorf("%v: got the files %v, want %v", want.OriginalRequest, names(a), names(b))
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// takeFiles parses the files of an answer, which loses them.
func takeFiles(t *testing.T, answer *pb.ServerReflectionResponse) (files []*descriptorpb.FileDescriptorProto) {
	t.Helper()
	if r := answer.GetFileDescriptorResponse(); r != nil {
		for _, b := range r.FileDescriptorProto {
			fd := new(descriptorpb.FileDescriptorProto)
			check(t, proto.Unmarshal(b, fd))
			files = append(files, fd)
		}
		r.FileDescriptorProto = nil
	}
	return files
}

func names(files []*descriptorpb.FileDescriptorProto) (names []string) {
	for _, fd := range files {
		names = append(names, fd.GetName())
	}
	return names
}

// TestReflectionClient holds that the package's client understands grpc-go's server.
func TestReflectionClient(t *testing.T) {
	client := overTTRPC(t, func(s *ttrpc.Server) {
		impl := grpcreflection.NewServerV1(grpcreflection.ServerOptions{Services: services{"a", "b"}})
		s.RegisterService(pb.ServerReflection_ServiceDesc.ServiceName, &ttrpc.ServiceDesc{Streams: map[string]ttrpc.Stream{
			reflectionMethod: {
				Handler: func(ctx context.Context, stream ttrpc.StreamServer) (any, error) {
					return nil, impl.ServerReflectionInfo(&reflectionServer{ctx: ctx, stream: stream})
				},
				StreamingClient: true, StreamingServer: true,
			},
		}})
	})
	got, err := reflection.ListServices(t.Context(), client)
	check(t, err)
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("services %q", got)
	}
	set, err := reflection.FileContainingSymbol(t.Context(), client, "ttrpc.Request")
	check(t, err)
	const want = "[github.com/containerd/ttrpc/request.proto google/rpc/status.proto google/protobuf/any.proto]"
	if got := fmt.Sprint(names(set.File)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	set, err = reflection.FileByFilename(t.Context(), client, "google/protobuf/any.proto")
	check(t, err)
	if got := fmt.Sprint(names(set.File)); got != "[google/protobuf/any.proto]" {
		t.Errorf("got %s", got)
	}
	_, err = reflection.FileByFilename(t.Context(), client, "nothing.proto")
	t.Log(err)
	if got := outcome(nil, err); got[:8] != "NotFound" {
		t.Errorf("got %s", got)
	}
}

// services are names for grpc-go's reflection to list.
type services []string

func (s services) GetServiceInfo() map[string]grpc.ServiceInfo {
	info := map[string]grpc.ServiceInfo{}
	for _, name := range s {
		info[name] = grpc.ServiceInfo{}
	}
	return info
}

// reflectionServer is grpc's side of a ttrpc stream.
type reflectionServer struct {
	grpc.ServerStream
	ctx    context.Context
	stream ttrpc.StreamServer
}

func (s *reflectionServer) Context() context.Context                  { return s.ctx }
func (s *reflectionServer) Send(m *pb.ServerReflectionResponse) error { return s.stream.SendMsg(m) }

func (s *reflectionServer) Recv() (*pb.ServerReflectionRequest, error) {
	m := new(pb.ServerReflectionRequest)
	return m, s.stream.RecvMsg(m)
}
