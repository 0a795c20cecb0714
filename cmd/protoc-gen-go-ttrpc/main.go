// Command protoc-gen-go-ttrpc is a protoc plugin that writes ttrpc services for messages generated
// by protoc-gen-go. For each .proto file that has services it writes a file named *_ttrpc.pb.go.
//
//	protoc --go_out=. --go_opt=paths=source_relative \
//	    --go-ttrpc_out=. --go-ttrpc_opt=paths=source_relative,prefix=TTRPC service.proto
//
// Parameters:
//
//	prefix=P                P goes before every service's Go name, so that gRPC code fits beside it
//	unimplemented=false     leave out the types UnimplementedFooService that servers can embed
//	paths=source_relative   write beside the .proto file's path, not under its Go import path
//	module=M                leave M out of the folders of generated files
//	Mfile.proto=PACKAGE     the Go import path of a .proto file
//	annotate_code=true      write *.meta files for tools
//
// Names that the .proto file keeps apart and Go does not (services Foo and foo, methods GetFoo and
// get_foo) are kept apart by an underscore after the one that is not spelled as in Go.
package main

import (
	"errors"
	"fmt"
	"go/token"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const name = "protoc-gen-go-ttrpc"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(name, version())
		return
	}
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, oneLine(err))
		os.Exit(1)
	}
}

// version is the module's version in the build, "(devel)" in a checkout.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "(devel)"
}

// oneLine joins the lines of an error: protoc prints a plugin's words among other plugins'.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// run answers one request of protoc. A descriptor that no compiler writes can make the protobuf
// module panic; that too becomes an error.
func run(args []string, in io.Reader, out io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the request can't be used: %v", r)
		}
	}()
	if len(args) > 0 {
		return fmt.Errorf("unknown argument %q (protoc runs this program; parameters go into --go-ttrpc_opt)", args[0])
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var req pluginpb.CodeGeneratorRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		return fmt.Errorf("standard input is not a request of protoc: %w", err)
	}
	resp, err := generate(&req)
	if err != nil {
		return err
	}
	if data, err = proto.Marshal(resp); err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

// generate writes a file for every requested .proto file that has services.
func generate(req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	if len(req.FileToGenerate) == 0 {
		return nil, errors.New("the request names no file to generate")
	}
	p := parameters{unimplemented: true}
	plugin, err := protogen.Options{ParamFunc: p.set}.New(req)
	if err != nil {
		return nil, err
	}
	plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL |
		pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
	plugin.SupportedEditionsMinimum = descriptorpb.Edition_EDITION_PROTO2
	plugin.SupportedEditionsMaximum = descriptorpb.Edition_EDITION_2024
	for _, file := range plugin.Files {
		if !file.Generate || len(file.Services) == 0 {
			continue
		}
		if err := generateFile(plugin, file, p); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Desc.Path(), err)
		}
	}
	resp := plugin.Response()
	if resp.Error != nil {
		return nil, errors.New(resp.GetError())
	}
	return resp, nil
}

// parameters are those that protogen does not know.
type parameters struct {
	prefix        string // before the Go names of services
	unimplemented bool   // write the types that servers can embed
}

func (p *parameters) set(name, value string) (err error) {
	switch name {
	case "prefix":
		p.prefix = value
		if !token.IsIdentifier(value + "Service") {
			err = errors.New("it must begin a Go identifier")
		}
	case "unimplemented":
		p.unimplemented, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("unknown parameter %q: want prefix, unimplemented, paths, module, annotate_code or Mfile.proto", name)
	}
	if err != nil {
		return fmt.Errorf("parameter %s=%s: %w", name, value, err)
	}
	return nil
}
