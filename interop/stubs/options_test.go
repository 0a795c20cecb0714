package stubs

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// TestPaths checks where files go.
func TestPaths(t *testing.T) {
	for _, c := range []struct{ plugin, file, parameter, want string }{
		{"protoc-gen-go-ttrpc", "shadow/ctx.proto", "", goPath + "/shadow/ctx/ctx_ttrpc.pb.go"},
		{"protoc-gen-go-ttrpc", "shadow/ctx.proto", "paths=import", goPath + "/shadow/ctx/ctx_ttrpc.pb.go"},
		{"protoc-gen-go-ttrpc", "shadow/ctx.proto", "paths=source_relative", "shadow/ctx_ttrpc.pb.go"},
		{"protoc-gen-go-ttrpc", "shadow/ctx.proto", "module=" + goPath, "shadow/ctx/ctx_ttrpc.pb.go"},
		{"protoc-gen-go-ttrpc", "shadow/ctx.proto", "Mshadow/ctx.proto=example.com/other", "example.com/other/ctx_ttrpc.pb.go"},
		{"protoc-gen-gogottrpc", "shadow/ctx.proto", "plugins=ttrpc", goPath + "/shadow/ctx/ctx.pb.go"},
		{"protoc-gen-gogottrpc", "shadow/ctx.proto", "paths=source_relative", "shadow/ctx.pb.go"},
	} {
		sources := goTarget.sources(t)
		sources["shadow/ctx.proto"] += "\nservice Paths { rpc Ask(Message) returns (Message); }\n"
		resp, err := ask(t, c.plugin, request(t, sources, c.file, c.parameter))
		if err != nil || len(resp.File) != 1 || resp.File[0].GetName() != c.want {
			t.Errorf("%s with %q: %v, %v, want %s", c.plugin, c.parameter, resp.GetFile(), err, c.want)
		}
	}
}

// TestMappedImport: an M parameter decides what is imported for a file.
func TestMappedImport(t *testing.T) {
	parameter := "Mmapped.proto=example.com/mapped,Munary.proto=example.com/elsewhere/v2;other"
	resp, err := ask(t, "protoc-gen-go-ttrpc", request(t, goTarget.sources(t), "mapped.proto", parameter))
	if err != nil {
		t.Fatal(err)
	}
	code := resp.File[0].GetContent()
	if !strings.Contains(code, `"example.com/elsewhere/v2"`) || !strings.Contains(code, "*v2.Request") {
		t.Error(code)
	}
}

// TestServicesOnRequest: gogo's generator writes services only where plugins contains ttrpc, in the
// original's vanity binary and in one of a user's own.
func TestServicesOnRequest(t *testing.T) {
	for _, name := range []string{"protoc-gen-gogottrpc", "vanity"} {
		for parameter, want := range map[string]bool{"": false, "plugins=grpc": false, "plugins=ttrpc": true, "plugins=grpc+ttrpc": true} {
			resp, err := ask(t, name, request(t, gogoTarget.sources(t), "proto2.proto", parameter))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(resp.File[0].GetContent(), "func RegisterOlderService("); got != want {
				t.Errorf("%s with %q: services %t, want %t", name, parameter, got, want)
			}
		}
	}
}

// TestUnimplementedOnRequest: without the types that servers embed everything else is the same, and
// nothing of grpc is imported.
func TestUnimplementedOnRequest(t *testing.T) {
	for name, target := range map[string]target{"protoc-gen-go-ttrpc": goTarget, "protoc-gen-gogottrpc": gogoTarget, "vanity": gogoTarget} {
		full, bare := "plugins=ttrpc", "plugins=ttrpc,unimplemented=false"
		if target.name == "go" {
			full, bare = "", "unimplemented=false"
		}
		with, without := code(t, name, target, full), code(t, name, target, bare)
		for _, absent := range []string{"nimplemented", "google.golang.org/grpc"} {
			if strings.Contains(without, absent) || !strings.Contains(with, absent) {
				t.Errorf("%s with %q: %s", name, bare, absent)
			}
		}
		rest := with
		for _, line := range strings.SplitAfter(without, "\n") {
			_, after, found := strings.Cut("\n"+rest, "\n"+line)
			if !found {
				t.Fatalf("%s: something else differs: %s", name, line)
			}
			rest = after
		}
	}
}

// code is what a plugin writes for a file with all kinds of methods.
func code(t *testing.T, name string, target target, parameter string) string {
	t.Helper()
	resp, err := ask(t, name, request(t, target.sources(t), "streams.proto", parameter))
	if err != nil {
		t.Fatal(err)
	}
	return resp.File[0].GetContent()
}

// TestVanitySettings compares the binary's settings with gogo's defaults, which a user's binary
// has.
func TestVanitySettings(t *testing.T) {
	req := request(t, gogoTarget.sources(t), "proto2.proto", "plugins=ttrpc")
	for name, present := range map[string]bool{"protoc-gen-gogottrpc": true, "vanity": false} {
		resp, err := ask(t, name, req)
		if err != nil {
			t.Fatal(err)
		}
		code := resp.File[0].GetContent()
		for _, method := range []string{") Marshal() (", ") MarshalTo(", ") Unmarshal(", ") Size() ("} {
			if strings.Contains(code, "func (m *Request"+method) != present {
				t.Errorf("%s: %q, want %t", name, method, present)
			}
		}
		if strings.Contains(code, "func (this *Request) String() string") != present {
			t.Errorf("%s: String", name)
		}
		if strings.Contains(code, "func (m *Request) GetName()") == present {
			t.Errorf("%s: getters", name)
		}
		if strings.Contains(code, "proto.CompactTextString(m)") == present {
			t.Errorf("%s: gogo's String", name)
		}
	}
}

// TestFeatures: protoc hands a file only to plugins that say they know its features.
func TestFeatures(t *testing.T) {
	resp, err := ask(t, "protoc-gen-go-ttrpc", request(t, goTarget.sources(t), "empty.proto", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []pluginpb.CodeGeneratorResponse_Feature{
		pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL,
		pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS,
	} {
		if resp.GetSupportedFeatures()&uint64(want) == 0 {
			t.Errorf("%v is not supported", want)
		}
	}
	low, high := descriptorpb.Edition(resp.GetMinimumEdition()), descriptorpb.Edition(resp.GetMaximumEdition())
	if low > descriptorpb.Edition_EDITION_PROTO2 || high < descriptorpb.Edition_EDITION_2024 {
		t.Errorf("editions %v to %v", low, high)
	}
}

// TestComments checks what the golden files show, by name.
func TestComments(t *testing.T) {
	for _, target := range []string{"go/unary/unary_ttrpc.pb.go", "gogo/unary/unary.pb.go"} {
		code := golden(t)["gen/"+target]
		for _, want := range []string{
			"// Greeter greets.\n//\n// It has all that a comment can have:\n//   - a list",
			"\t// Hello says hello.\n\tHello(",
			"\t// Nothing happens.\n\tNothing(",
			"\t// Old is not used any more.\n\t//\n\t// Deprecated: Do not use.\n\tOld(",
			"\t//\n\t// Deprecated: Use Hello.\n\tOlder(",
			"\t// go:generate echo \"a comment, not a directive\"\n\tDirective(",
			"// Deprecated: Do not use.\nfunc RegisterGoneService(",
			"// Deprecated: Do not use.\nfunc NewGoneClient(",
			"// Gone is deprecated as a whole.\n//\n// Deprecated: Do not use.\ntype GoneService interface",
		} {
			if !strings.Contains(code, want) {
				t.Errorf("%s lacks %q", target, want)
			}
		}
	}
}
