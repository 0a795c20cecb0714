package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// TestEdition2024 compares files of edition 2024, and one that they import, with what protoc 35.1
// makes of them, comments and their places included:
//
//	protoc --include_source_info --retain_options --descriptor_set_out=protoc.binpb main.proto other.proto options.proto
func TestEdition2024(t *testing.T) {
	data, err := os.ReadFile("testdata/2024/protoc.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var want descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	got, err := compile([]string{"testdata/2024"}, []string{"main.proto"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range want.File {
		i := slices.IndexFunc(got, func(g *descriptorpb.FileDescriptorProto) bool { return g.GetName() == f.GetName() })
		if i < 0 {
			t.Errorf("%s is missing", f.GetName())
		} else if g := again(t, got[i]); !proto.Equal(g, f) {
			t.Errorf("%s differs:\n%v\nwant\n%v", f.GetName(), g, f)
		}
	}
}

// again decodes a file as a plugin does, which does not know the file's own options.
func again(t *testing.T, f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	t.Helper()
	data, err := proto.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	decoded := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(data, decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// TestFaults2024: what edition 2024 does not allow is an error that says where it is.
func TestFaults2024(t *testing.T) {
	for text, want := range map[string]string{
		`import option "google/protobuf/go_features.proto"; import "google/protobuf/any.proto";`: "a.proto:2:52: imports should precede any option imports",
		`message A { string a = 1 [ctype = CORD]; }`:                                             "a.proto:2:27: ctype option cannot be used as of edition 2024",
		`export service A {}`:                               "a.proto:2:1: syntax error",
		`export local message A {}`:                         "a.proto:2:1: syntax error",
		`import option public "google/protobuf/any.proto";`: "a.proto:2:8: syntax error",
		`import "absent.proto";`:                            "absent.proto",
	} {
		if err := compileText(t, "edition = \"2024\";\n"+text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %s", text, err, want)
		}
	}
}

// TestModifiersElsewhere: the words that edition 2024 has for modifiers are names in other places,
// and in other editions.
func TestModifiersElsewhere(t *testing.T) {
	for _, text := range []string{
		"edition = \"2024\";\nenum export { zero = 0; } message local { export message = 1; string option = 2; }",
		"edition = \"2023\";\nenum export { local = 0; } message message { export message = 1; }",
		"syntax = \"proto3\";\nmessage local {} message A { local enum = 1; }",
	} {
		if err := compileText(t, text); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

// TestUnknownEdition: the error names the file and its edition, and comes before those of syntax.
func TestUnknownEdition(t *testing.T) {
	const want = "unknown.proto: edition 2026 is unknown to this command, which knows 2023 and 2024"
	for _, file := range []string{"unknown.proto", "imports.proto"} {
		if _, err := run1(t, []string{file}, "3/998/9999"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := run1(t, []string{"broken.proto"}, "3/998/1001"); err == nil || strings.Contains(err.Error(), "unknown to") {
		t.Errorf("a fault that has nothing to do with the edition: %v", err)
	}
}

func compileText(t *testing.T, text string) error {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.proto"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := compile([]string{dir}, []string{"a.proto"})
	return err
}
