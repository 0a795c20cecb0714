package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// runPlugin asks one plugin for the code of the named files.
func runPlugin(spec string, files []*descriptorpb.FileDescriptorProto, names []string) (*pluginpb.CodeGeneratorResponse, error) {
	args, parameter := command(spec)
	req, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: &parameter, ProtoFile: files})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(req), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	resp := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(answer, resp); err != nil {
		return nil, err
	}
	requested := slices.DeleteFunc(slices.Clone(files), func(f *descriptorpb.FileDescriptorProto) bool {
		return !slices.Contains(names, f.GetName())
	})
	return resp, refusal(args[len(args)-1], resp, requested)
}

// outDir is where generated files go. Plugins name files by import path; prefix is dir's own.
type outDir struct{ dir, prefix string }

func (o outDir) write(f *pluginpb.CodeGeneratorResponse_File) error {
	name := f.GetName()
	if o.prefix != "" {
		name = strings.TrimPrefix(name, strings.TrimSuffix(o.prefix, "/")+"/")
	}
	path := filepath.Join(o.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(f.GetContent()), 0o644)
}

// command splits "go:PACKAGE:PARAMETER" or "PATH:PARAMETER" into what runs the plugin and the
// parameter. What go run builds stays in its cache.
func command(spec string) (args []string, parameter string) {
	spec, isGo := strings.CutPrefix(spec, "go:")
	program, parameter, _ := strings.Cut(spec, ":")
	if isGo {
		return []string{"go", "run", program}, parameter
	}
	return []string{program}, parameter
}
