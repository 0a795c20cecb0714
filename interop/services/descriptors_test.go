package services

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var update = flag.Bool("update", false, "rewrite the descriptors that package reflection embeds")

// TestDescriptors holds that the descriptors of the health and reflection services which package
// reflection gives where a program has registered none are grpc-go's.
func TestDescriptors(t *testing.T) {
	for name, file := range map[string]protoreflect.FileDescriptor{
		"health.binpb":             grpc_health_v1.File_grpc_health_v1_health_proto,
		"reflection_v1.binpb":      reflectionv1.File_grpc_reflection_v1_reflection_proto,
		"reflection_v1alpha.binpb": grpc_reflection_v1alpha.File_grpc_reflection_v1alpha_reflection_proto,
	} {
		path := filepath.Join("..", "..", "reflection", "descriptors", name)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(file))
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not grpc-go's (%v); go test ./services -update makes it so", name, err)
		}
	}
}
