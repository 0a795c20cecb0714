package stubs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// binaries is the folder that the plugins are built into, removed when the tests end.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "stubs")
	if err != nil {
		panic(err)
	}
	binaries = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// buildPlugins builds the plugins that go.mod names as tools, once.
var buildPlugins = sync.OnceValue(func() error {
	build := exec.Command("go", "build", "-o", binaries+string(filepath.Separator),
		"github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc",
		"github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc",
		"google.golang.org/protobuf/cmd/protoc-gen-go",
		"./vanity")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// plugin returns the path of a built plugin.
func plugin(t *testing.T, name string) string {
	t.Helper()
	if err := buildPlugins(); err != nil {
		t.Fatal(err)
	}
	if path, err := exec.LookPath(filepath.Join(binaries, name)); err == nil {
		return path
	}
	t.Fatalf("%s was not built", name)
	return ""
}

// request is what protoc would ask a plugin for one file of the sources.
func request(t *testing.T, sources map[string]string, file, parameter string) *pluginpb.CodeGeneratorRequest {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(sources),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	req := &pluginpb.CodeGeneratorRequest{FileToGenerate: []string{file}}
	if parameter != "" {
		req.Parameter = &parameter
	}
	addFile(req, map[string]bool{}, linked[0])
	return req
}

// addFile adds a file after everything it imports.
func addFile(req *pluginpb.CodeGeneratorRequest, seen map[string]bool, file protoreflect.FileDescriptor) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		addFile(req, seen, file.Imports().Get(i).FileDescriptor)
	}
	req.ProtoFile = append(req.ProtoFile, fileProto(file))
}

func fileProto(file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	if result, ok := file.(linker.Result); ok {
		return result.FileDescriptorProto()
	}
	return protodesc.ToFileDescriptorProto(file)
}

// ask runs a plugin over a request. The error carries what the plugin wrote to standard error.
func ask(t *testing.T, name string, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	t.Helper()
	return askBinary(t, plugin(t, name), req)
}

func askBinary(t *testing.T, path string, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	t.Helper()
	data, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	out, stderr, err := feed(path, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr)
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(out, resp); err != nil {
		t.Fatal(err)
	}
	if resp.Error != nil {
		return nil, errors.New(resp.GetError())
	}
	return resp, nil
}

// feed runs a plugin over the bytes of a request.
func feed(path string, data []byte, args ...string) (out []byte, stderr string, err error) {
	var complaint bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), &complaint
	out, err = cmd.Output()
	return out, complaint.String(), err
}

// generate returns what the run's plugins write, by path under the module.
func generate(t *testing.T, r run) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, parameter := range r.plugins {
		resp, err := ask(t, name, request(t, r.sources(t), r.file, parameter))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, f := range resp.File {
			files[strings.TrimPrefix(f.GetName(), module+"/")] = f.GetContent()
		}
	}
	return files
}
