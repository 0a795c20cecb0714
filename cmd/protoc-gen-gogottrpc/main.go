// Command protoc-gen-gogottrpc is a protoc plugin that writes gogo messages and, with
// plugins=ttrpc, ttrpc services for them, all in one *.pb.go file.
//
//	protoc --gogottrpc_out=plugins=ttrpc:. service.proto
//
// It is gogo's generator with these settings for every file but google/protobuf/descriptor.proto:
// Marshal, Unmarshal, Size and String methods are generated, getters and gogo's own String methods
// are not.
//
// Parameters:
//
//	plugins=ttrpc           write services too
//	unimplemented=false     leave out the types UnimplementedFooService that servers can embed
//	paths=source_relative   write beside the .proto file's path, not under its Go import path
//	Mfile.proto=PACKAGE     the Go import path of an imported .proto file
//	import_path=PACKAGE     the Go import path of a file without go_package
//	import_prefix=PREFIX    goes before every import path
//	annotate_code=true      write *.meta files for tools
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	plugin "github.com/gogo/protobuf/protoc-gen-gogo/plugin"
	"github.com/gogo/protobuf/vanity"
	"github.com/gogo/protobuf/vanity/command"

	_ "github.com/containerd/ttrpc/plugin"
)

const name = "protoc-gen-gogottrpc"

func main() {
	// gogo's generator reports what it finds wrong through log and ends the process.
	log.SetFlags(0)
	log.SetOutput(firstLine{os.Stderr})
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
}

// firstLine keeps the first line of each message:
// gogo adds the whole source of code it can't format.
type firstLine struct{ io.Writer }

func (w firstLine) Write(message []byte) (int, error) {
	line, _, _ := bytes.Cut(message, []byte("\n"))
	_, err := w.Writer.Write(append(line[:len(line):len(line)], '\n'))
	return len(message), err
}

// run answers one request of protoc. A descriptor that no compiler writes can make gogo's generator
// panic; that too becomes an error.
func run(args []string, in io.Reader, out io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the request can't be used: %v", r)
		}
	}()
	if len(args) > 0 {
		return fmt.Errorf("unknown argument %q (protoc runs this program; parameters go into --gogottrpc_out)", args[0])
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var req plugin.CodeGeneratorRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		return fmt.Errorf("standard input is not a request of protoc: %w", err)
	}
	if err := check(&req); err != nil {
		return err
	}
	applySettings(&req)
	if data, err = proto.Marshal(command.Generate(&req)); err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

// applySettings sets the gogo options of every file but descriptor.proto, which gogo itself is made
// of. A file that sets an option for itself keeps it.
func applySettings(req *plugin.CodeGeneratorRequest) {
	files := vanity.FilterFiles(req.GetProtoFile(), vanity.NotGoogleProtobufDescriptorProto)
	for _, set := range []func(*descriptor.FileDescriptorProto){
		vanity.TurnOnMarshalerAll,
		vanity.TurnOnSizerAll,
		vanity.TurnOnUnmarshalerAll,
		vanity.TurnOnStringerAll,
		vanity.TurnOffGoGettersAll,
		vanity.TurnOffGoStringerAll,
	} {
		vanity.ForEachFile(files, set)
	}
}

// check finds what gogo's generator would overlook or crash on.
func check(req *plugin.CodeGeneratorRequest) error {
	if len(req.FileToGenerate) == 0 {
		return errors.New("the request names no file to generate")
	}
	if err := checkParameters(req.GetParameter()); err != nil {
		return err
	}
	files := map[string]bool{}
	for _, file := range req.ProtoFile {
		for _, dep := range file.Dependency {
			if !files[dep] {
				return fmt.Errorf("%s: the request lacks its import %q", file.GetName(), dep)
			}
		}
		files[file.GetName()] = true
	}
	for _, file := range req.FileToGenerate {
		if !files[file] {
			return fmt.Errorf("the request lacks the file to generate, %q", file)
		}
	}
	return nil
}

// checkParameters knows the parameters of gogo's generator, which ignores all others.
func checkParameters(parameter string) error {
	for _, p := range strings.Split(parameter, ",") {
		key, value, _ := strings.Cut(p, "=")
		if err := checkParameter(key, value); err != nil {
			return err
		}
	}
	return nil
}

func checkParameter(key, value string) error {
	switch key {
	case "", "import_prefix", "import_path", "annotate_code":
		return nil
	case "plugins":
		return checkPlugins(value)
	case "unimplemented":
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("parameter unimplemented=%s: want unimplemented=true or unimplemented=false", value)
		}
		return nil
	case "paths":
		if value != "import" && value != "source_relative" {
			return fmt.Errorf("parameter paths=%s: want paths=import or paths=source_relative", value)
		}
		return nil
	}
	if key[0] == 'M' {
		return nil
	}
	return fmt.Errorf("unknown parameter %q: want plugins, unimplemented, paths, import_path, import_prefix, "+
		"annotate_code or Mfile.proto", key)
}

// checkPlugins accepts what can be written into one file beside the messages.
func checkPlugins(list string) error {
	for _, p := range strings.Split(list, "+") {
		if p != "" && p != "ttrpc" && p != "grpc" {
			return fmt.Errorf("unknown plugin %q in plugins=%s: want ttrpc", p, list)
		}
	}
	return nil
}
