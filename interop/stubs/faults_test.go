package stubs

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// complains checks that a plugin answers with one line on standard error, and exit 1.
func complains(t *testing.T, name string, data []byte, want string, args ...string) {
	t.Helper()
	out, stderr, err := feed(plugin(t, name), data, args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) != 0 {
		t.Errorf("%s: %v and %d bytes of output, want exit 1 and none", name, err, len(out))
	}
	if !strings.HasSuffix(stderr, "\n") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, want) {
		t.Errorf("%s wrote %q, want one line with %q", name, stderr, want)
	}
}

func marshal(t *testing.T, req *pluginpb.CodeGeneratorRequest) []byte {
	t.Helper()
	data, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBadParameters(t *testing.T) {
	for _, c := range []struct{ plugin, parameter, want string }{
		{"protoc-gen-go-ttrpc", "bogus=1", `unknown parameter "bogus"`},
		{"protoc-gen-go-ttrpc", "plugins=ttrpc", `unknown parameter "plugins"`},
		{"protoc-gen-go-ttrpc", "prefix=1a", "prefix=1a"},
		{"protoc-gen-go-ttrpc", "prefix=a b", "prefix=a b"},
		{"protoc-gen-go-ttrpc", "prefix=a.b", "prefix=a.b"},
		{"protoc-gen-go-ttrpc", "paths=sideways", "sideways"},
		{"protoc-gen-gogottrpc", "bogus=1", `unknown parameter "bogus"`},
		{"protoc-gen-gogottrpc", "prefix=TTRPC", `unknown parameter "prefix"`},
		{"protoc-gen-gogottrpc", "plugins=ttrpc+bogus", `unknown plugin "bogus"`},
		{"protoc-gen-gogottrpc", "paths=sideways", "paths=sideways"},
	} {
		complains(t, c.plugin, marshal(t, request(t, goTarget.sources(t), "unary.proto", c.parameter)), c.want)
	}
}

func TestBadRequests(t *testing.T) {
	for name, parameter := range map[string]string{
		"protoc-gen-go-ttrpc":  "Mmapped.proto=example.com/mapped",
		"protoc-gen-gogottrpc": "plugins=ttrpc",
	} {
		mapped := request(t, goTarget.sources(t), "mapped.proto", parameter)
		withoutImport := proto.CloneOf(mapped)
		withoutImport.ProtoFile = slices.DeleteFunc(withoutImport.ProtoFile, func(f *descriptorpb.FileDescriptorProto) bool {
			return f.GetName() == "unary.proto"
		})
		absent := proto.CloneOf(mapped)
		absent.FileToGenerate = []string{"absent.proto"}
		nothing := proto.CloneOf(mapped)
		nothing.FileToGenerate = nil
		noType := proto.CloneOf(mapped)
		noType.ProtoFile[len(noType.ProtoFile)-1].Service[0].Method[0].InputType = proto.String(".stubs.unary.Absent")

		complains(t, name, []byte("garbage"), "not a request of protoc")
		complains(t, name, nil, "no file to generate")
		complains(t, name, marshal(t, nothing), "no file to generate")
		complains(t, name, marshal(t, withoutImport), "unary.proto")
		complains(t, name, marshal(t, absent), "absent.proto")
		complains(t, name, marshal(t, noType), "stubs.unary.Absent")
		complains(t, name, nil, `unknown argument "--help"`, "--help")
	}
}

// TestNoGoPackage: protobuf's Go module explains this in several lines.
func TestNoGoPackage(t *testing.T) {
	data := marshal(t, request(t, goTarget.sources(t), "mapped.proto", ""))
	complains(t, "protoc-gen-go-ttrpc", data, "mapped.proto")
}

// TestPanic: gogo's marshaler panics when it meets a group.
func TestPanic(t *testing.T) {
	sources := map[string]string{"group.proto": `syntax = "proto2"; package group; option go_package = "example.com/group";
		message M { optional group Old = 1 { optional bool b = 2; } }
		service S { rpc Ask(M) returns (M); }`}
	data := marshal(t, request(t, sources, "group.proto", "plugins=ttrpc"))
	complains(t, "protoc-gen-gogottrpc", data, "group Old")
	if _, err := ask(t, "protoc-gen-go-ttrpc", request(t, sources, "group.proto", "")); err != nil {
		t.Error(err)
	}
}
