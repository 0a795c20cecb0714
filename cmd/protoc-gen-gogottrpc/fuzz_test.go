package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	plugin "github.com/gogo/protobuf/protoc-gen-gogo/plugin"
)

// asPlugin in the environment makes the test's binary the plugin:
// gogo's generator ends its process when it refuses something.
const asPlugin = "TEST_AS_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		os.Args = os.Args[:1]
		main()
		return
	}
	os.Exit(m.Run())
}

// fuzzRequest is a request of protoc's for a file with a service.
func fuzzRequest(pkg, service, method, in, comment, parameter string, shape uint8) []byte {
	file := &descriptor.FileDescriptorProto{
		Name: proto.String("dir/file.proto"), Package: proto.String(pkg),
		Syntax:      proto.String([]string{"proto2", "proto3"}[shape%2]),
		Options:     &descriptor.FileOptions{GoPackage: proto.String("example.com/dir/" + pkg)},
		MessageType: []*descriptor.DescriptorProto{{Name: proto.String(in)}, {Name: proto.String("Out")}},
		Service: []*descriptor.ServiceDescriptorProto{{
			Name: proto.String(service),
			Method: []*descriptor.MethodDescriptorProto{{
				Name: proto.String(method), InputType: proto.String("." + strings.TrimPrefix(pkg+"."+in, ".")),
				OutputType:      proto.String("." + strings.TrimPrefix(pkg+".Out", ".")),
				ClientStreaming: proto.Bool(shape&2 != 0), ServerStreaming: proto.Bool(shape&4 != 0),
			}},
		}, {Name: proto.String(service + "_")}},
		SourceCodeInfo: &descriptor.SourceCodeInfo{Location: []*descriptor.SourceCodeInfo_Location{
			{Path: []int32{6, 0}, Span: []int32{1, 1, 1}, LeadingComments: proto.String(comment)},
			{Path: []int32{6, 0, 2, 0}, Span: []int32{2, 1, 1}, TrailingComments: proto.String(comment)},
		}},
	}
	b, err := proto.Marshal(&plugin.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()}, Parameter: proto.String(parameter),
		ProtoFile: []*descriptor.FileDescriptorProto{file},
	})
	if err != nil {
		return nil // names that are not UTF-8
	}
	return b
}

// checkPlugin runs the plugin in a process of its own: it answers with files of Go, or with one
// line on stderr and exit status 1.
func checkPlugin(t *testing.T, request []byte) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asPlugin+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), &out, &errs
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState.ExitCode() != 1 || strings.Count(errs.String(), "\n") != 1 {
			t.Fatalf("%v, and on stderr:\n%s", err, &errs)
		}
		return
	}
	resp := new(plugin.CodeGeneratorResponse)
	if err := proto.Unmarshal(out.Bytes(), resp); err != nil {
		t.Fatal(err)
	}
	for _, f := range resp.File {
		if _, err := parser.ParseFile(token.NewFileSet(), f.GetName(), f.GetContent(), 0); err != nil {
			t.Fatalf("%v\n%s", err, f.GetContent())
		}
	}
}

// FuzzRequest: any bytes are a request.
func FuzzRequest(f *testing.F) {
	for shape := range uint8(8) {
		f.Add(fuzzRequest("pkg", "Service", "get_foo", "In", "comment", "plugins=ttrpc", shape))
	}
	f.Add([]byte{})
	f.Fuzz(checkPlugin)
}

// FuzzNames: any names, comments and parameters in a request.
func FuzzNames(f *testing.F) {
	f.Add("pkg", "Service", "get_foo", "In", "comment", "plugins=ttrpc", uint8(0))
	f.Add("", "client", "type", "Context", "*/ \n//\r", "plugins=ttrpc,paths=source_relative", uint8(2))
	f.Add("context.v1", "ttrpc", "Client", "Empty", "\u2028", "plugins=ttrpc+grpc", uint8(5))
	f.Add("x", "_", "__", "_1", "Deprecated: no", "Mdir/file.proto=x;y,import_prefix=a/", uint8(7))
	f.Fuzz(func(t *testing.T, pkg, service, method, in, comment, parameter string, shape uint8) {
		if b := fuzzRequest(pkg, service, method, in, comment, parameter, shape); b != nil {
			checkPlugin(t, b)
		}
	})
}
