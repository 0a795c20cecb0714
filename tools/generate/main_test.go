package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// asPlugin in the environment makes the test's binary a plugin.
const asPlugin = "TEST_AS_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) == "" {
		os.Exit(m.Run())
	}
	if err := plugin(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plugin answers with one file. Its parameter is "features/minimum/maximum", or else an error.
func plugin(in io.Reader, out io.Writer) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var req pluginpb.CodeGeneratorRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		return err
	}
	resp := &pluginpb.CodeGeneratorResponse{File: []*pluginpb.CodeGeneratorResponse_File{{Name: proto.String("out.txt")}}}
	var features uint64
	var least, most int32
	if n, _ := fmt.Sscanf(req.GetParameter(), "%d/%d/%d", &features, &least, &most); n == 0 {
		resp.Error = req.Parameter
	}
	resp.SupportedFeatures, resp.MinimumEdition, resp.MaximumEdition = &features, &least, &most
	if data, err = proto.Marshal(resp); err == nil {
		_, err = out.Write(data)
	}
	return err
}

var sources = map[string]string{
	"plain.proto":    `syntax = "proto3"; import "edition.proto"; message A { B b = 1; oneof c { int32 d = 2; } }`,
	"edition.proto":  "edition = \"2023\";\nmessage B { string name = 1; }",
	"optional.proto": `syntax = "proto3"; message C { message D { optional string name = 1; } }`,
	"old.proto":      `message E { optional string name = 1; }`,
	"upb/x.proto":    "edition = \"2023\";\nmessage F { string name = 1; }",
	"later.proto":    "// Of the edition = \"2023\";\nedition = '2024';\nlocal message G {}",
	"unknown.proto":  "// Of the edition = \"2024\";\nedition /**/ =\n'2026'\n; enumeration H {}",
	"imports.proto":  `syntax = "proto3"; import "unknown.proto"; message I { H h = 1; }`,
	"broken.proto":   "edition = \"2023\";\nlocal message K {}",
}

// run1 generates for files, in an empty folder, with plugins that have these parameters.
func run1(t *testing.T, files []string, parameters ...string) (outdir string, err error) {
	t.Helper()
	in, out := t.TempDir(), t.TempDir()
	for name, text := range sources {
		path := filepath.Join(in, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asPlugin, "1")
	compiled, err := compile([]string{in}, files)
	if err != nil {
		return out, err
	}
	var plugins []string
	for _, p := range parameters {
		plugins = append(plugins, exe+":"+p)
	}
	return out, generate(plugins, outDir{dir: out}, compiled, files)
}

// TestFeatures holds what protoc 35.1 does with the same files and plugins.
func TestFeatures(t *testing.T) {
	const (
		noEditions = "edition.proto: is an editions file, but code generator generate.test hasn't been updated to support editions yet."
		noOptional = "optional.proto: is a proto3 file that contains optional fields, but code generator generate.test hasn't been updated"
		tooOld     = "edition.proto: is a file using edition 2023, which isn't supported by code generator generate.test." +
			"  Please upgrade your file to at least edition 2024."
		tooNew = "edition.proto: is a file using edition 2023, which isn't supported by code generator generate.test." +
			"  Please ask the owner of this code generator to add support or switch back to a maximum of edition "
		muchTooNew = "later.proto: is a file using edition 2024, which isn't supported by code generator generate.test." +
			"  Please ask the owner of this code generator to add support or switch back to a maximum of edition 2023."
	)
	for _, c := range []struct{ files, parameter, want string }{
		{"plain.proto", "0", ""}, // the file that it imports has an edition
		{"old.proto", "0", ""},
		{"upb/x.proto", "0", ""},
		{"edition.proto", "0", noEditions},
		{"edition.proto", "1/1000/1001", noEditions},
		{"edition.proto", "2", tooNew + "UNKNOWN."},
		{"edition.proto", "2/998/999", tooNew + "PROTO3."},
		{"edition.proto", "2/1001/1001", tooOld},
		{"edition.proto", "2/1000/1000", ""},
		{"edition.proto", "2/998/9999999", ""},
		{"later.proto", "2/1000/1000", muchTooNew},
		{"later.proto", "2/1000/1001", ""},
		{"optional.proto", "0", noOptional},
		{"optional.proto", "2/998/1001", noOptional},
		{"optional.proto", "1", ""},
		{"edition.proto optional.proto", "0", noOptional},
		{"edition.proto optional.proto", "0", noEditions},
		{"edition.proto optional.proto", "3/998/1001", ""},
		{"edition.proto", "its own error", noEditions},
		{"edition.proto", "its own error", "\nits own error"},
		{"plain.proto", "its own error", "its own error"},
	} {
		t.Run(c.files+" "+c.parameter, func(t *testing.T) {
			out, err := run1(t, strings.Fields(c.files), c.parameter)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(out, "out.txt")); (err == nil) != (c.want == "") {
				t.Errorf("the generated file: %v", err)
			}
		})
	}
}

// TestAllOrNothing: the second plugin's refusal comes before the first one's file is written.
func TestAllOrNothing(t *testing.T) {
	out, err := run1(t, []string{"edition.proto"}, "2/1000/1001", "0")
	if err == nil {
		t.Error("no error")
	}
	if files, _ := os.ReadDir(out); len(files) != 0 {
		t.Error(files)
	}
}

// TestShort holds protoc's names for editions, those that have no name included.
func TestShort(t *testing.T) {
	for e, want := range map[descriptorpb.Edition]string{0: "UNKNOWN", 999: "PROTO3", 1000: "2023", 1001: "2024", 77: "77"} {
		if got := short(e); got != want {
			t.Errorf("%d: %s, want %s", e, got, want)
		}
	}
}
