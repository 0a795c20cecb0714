package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// fuzzRequest is a request of protoc's for a file with a service.
func fuzzRequest(pkg, service, method, in, comment, parameter string, shape uint8) *pluginpb.CodeGeneratorRequest {
	syntax := []string{"proto2", "proto3", "editions"}[shape%3]
	file := &descriptorpb.FileDescriptorProto{
		Name: proto.String("dir/file.proto"), Package: proto.String(pkg), Syntax: proto.String(syntax),
		Options: &descriptorpb.FileOptions{GoPackage: proto.String("example.com/dir/" + pkg), Deprecated: proto.Bool(shape&64 != 0)},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String(in)}, {
			Name: proto.String(service + "Client"), NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("In")}},
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String(service),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String(method), InputType: proto.String(qualified(pkg, in)),
				OutputType:      proto.String(qualified(pkg, service+"Client.In")),
				ClientStreaming: proto.Bool(shape&16 != 0), ServerStreaming: proto.Bool(shape&32 != 0),
			}},
		}, {Name: proto.String(service + "_")}},
		SourceCodeInfo: &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{
			{Path: []int32{6, 0}, Span: []int32{1, 1, 1}, LeadingComments: proto.String(comment)},
			{Path: []int32{6, 0, 2, 0}, Span: []int32{2, 1, 1}, TrailingComments: proto.String(comment)},
		}},
	}
	if syntax == "editions" {
		file.Edition = []descriptorpb.Edition{descriptorpb.Edition_EDITION_2023, descriptorpb.Edition_EDITION_2024}[shape>>7].Enum()
	}
	return &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{file.GetName()}, Parameter: proto.String(parameter), ProtoFile: []*descriptorpb.FileDescriptorProto{file},
	}
}

func qualified(pkg, name string) string {
	if pkg == "" {
		return "." + name
	}
	return "." + pkg + "." + name
}

// checkRun runs the plugin: what it answers are files of Go, what it refuses has one line.
func checkRun(t *testing.T, request []byte) {
	var out bytes.Buffer
	if err := run(nil, bytes.NewReader(request), &out); err != nil {
		if line := oneLine(err); line == "" || strings.Contains(line, "\n") {
			t.Fatalf("not a line: %q", line)
		}
		return
	}
	resp := new(pluginpb.CodeGeneratorResponse)
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
	for shape := range uint8(64) {
		b, err := proto.Marshal(fuzzRequest("pkg", "Service", "get_foo", "In", "comment", "paths=source_relative", shape))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(checkRun)
}

// FuzzNames: any names, comments and parameters in a request.
func FuzzNames(f *testing.F) {
	f.Add("pkg", "Service", "get_foo", "In", "comment", "prefix=TTRPC", uint8(0))
	f.Add("pkg", "Service", "get_foo", "In", "comment", "unimplemented=false", uint8(128+2))
	f.Add("", "client", "type", "Context", "*/ \n//\r", "", uint8(16))
	f.Add("context.v1", "ttrpc", "Client", "Empty", "\u2028\x00", "paths=source_relative,prefix=x", uint8(34))
	f.Add("x", "_", "__", "_1", "Deprecated: no", "Mdir/file.proto=x;y,module=example.com", uint8(113))
	f.Fuzz(func(t *testing.T, pkg, service, method, in, comment, parameter string, shape uint8) {
		b, err := proto.Marshal(fuzzRequest(pkg, service, method, in, comment, parameter, shape))
		if err == nil {
			checkRun(t, b)
		}
	})
}
