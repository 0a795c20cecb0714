package services

import (
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/healthpb"
	"github.com/containerd/ttrpc/internal/reflectionpb"
)

// codec is what a message encoded by hand has.
type codec interface {
	Reset()
	String() string
	Marshal() ([]byte, error)
	Unmarshal(b []byte) error
}

// agree fails the test unless m takes b exactly where the generated message does, and then encodes
// a message that is the same but for unknown fields.
func agree(t *testing.T, b []byte, m codec, want proto.Message) {
	t.Helper()
	decode := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal
	wantErr, err := decode(b, want), m.Unmarshal(b)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%T %x: the error is %v, want %v", m, b, err, wantErr)
	}
	if err != nil {
		return
	}
	encoded, err := m.Marshal()
	if err != nil {
		t.Fatalf("%T %x: Marshal: %v", m, b, err)
	}
	got := want.ProtoReflect().New().Interface()
	if err := decode(encoded, got); err != nil || !proto.Equal(got, want) {
		t.Fatalf("%T %x: encoded as %x: %v, %v, want %v", m, b, encoded, got, err, want)
	}
	text := m.String()
	if m.Reset(); proto.Size(want) > 0 && m.String() == text {
		t.Fatalf("%T: Reset leaves %s", m, text)
	}
}

// FuzzHealthMessages holds that every message of package health takes and gives the bytes that the
// generated one does.
func FuzzHealthMessages(f *testing.F) {
	list := &grpc_health_v1.HealthListResponse{Statuses: map[string]*grpc_health_v1.HealthCheckResponse{
		"": {Status: 1}, "a": {}, "b": {Status: -1},
	}}
	for _, m := range []proto.Message{list, &grpc_health_v1.HealthCheckRequest{Service: "a"}, list.Statuses["b"]} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
		f.Add(protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), 1<<63+2))
	}
	for _, text := range []string{
		"", "\x0a\xff", "\x0a\x01\xff", "\x0a\x03\x0a\x01\xff", "\x0b\x0c", "\x0d1234", "\x0a\x08\x12\x02\x08\x01\x12\x02\x10\x02",
		"\x0a\x02\x08\x01", "\x0a\x05\x0a\x01a\x10\x01", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		agree(t, b, new(healthpb.Request), new(grpc_health_v1.HealthCheckRequest))
		agree(t, b, new(healthpb.Response), new(grpc_health_v1.HealthCheckResponse))
		agree(t, b, new(healthpb.ListRequest), new(grpc_health_v1.HealthListRequest))
		agree(t, b, new(healthpb.ListResponse), new(grpc_health_v1.HealthListResponse))
	})
}

// FuzzReflectionMessages is FuzzHealthMessages for package reflection.
func FuzzReflectionMessages(f *testing.F) {
	add := func(m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
	}
	for _, questions := range conversations {
		for _, q := range questions {
			add(q)
			add(&pb.ServerReflectionResponse{ValidHost: q.Host, OriginalRequest: q})
		}
	}
	add(&pb.ServerReflectionResponse{MessageResponse: &pb.ServerReflectionResponse_FileDescriptorResponse{
		FileDescriptorResponse: &pb.FileDescriptorResponse{FileDescriptorProto: [][]byte{nil, []byte("a")}},
	}})
	add(&pb.ServerReflectionResponse{MessageResponse: &pb.ServerReflectionResponse_AllExtensionNumbersResponse{
		AllExtensionNumbersResponse: &pb.ExtensionNumberResponse{BaseTypeName: "a", ExtensionNumber: []int32{1, 0, -1, 1 << 30}},
	}})
	add(&pb.ServerReflectionResponse{MessageResponse: &pb.ServerReflectionResponse_ListServicesResponse{
		ListServicesResponse: &pb.ListServiceResponse{Service: []*pb.ServiceResponse{{}, {Name: "a"}}},
	}})
	add(&pb.ServerReflectionResponse{MessageResponse: &pb.ServerReflectionResponse_ErrorResponse{
		ErrorResponse: &pb.ErrorResponse{ErrorCode: -5, ErrorMessage: "a"},
	}})
	for _, text := range []string{
		"\x2a\x03\x0a\x01a\x2a\x02\x10\x01", "\x2a\x03\x0a\x01a\x1a\x01b\x2a\x02\x10\x01",
		"\x2a\x02\x10\x01\x2a\x02\x10\x02", "\x2a\x03\x12\x01\x80",
		"\x3a\x02\x08\x01\x22\x00\x3a\x03\x12\x01a", "\x32\x04\x0a\x02\x08\x01", "\x32\x05\x0a\x03\x0a\x01\xff",
		"\x18\x01\x20\x02", "\x12\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		agree(t, b, new(reflectionpb.Request), new(pb.ServerReflectionRequest))
		agree(t, b, new(reflectionpb.Response), new(pb.ServerReflectionResponse))
	})
}
