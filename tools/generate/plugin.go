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
	bin, parameter, err := buildPlugin(spec)
	if err != nil {
		return nil, err
	}
	req, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: &parameter, ProtoFile: files})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(bin)
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
	return resp, refusal(bin, resp, requested)
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

// buildPlugin splits "go:PACKAGE:parameter" or "PATH:parameter" and returns a binary to run. Built
// binaries land in the user's cache folder, so that go's own build cache makes the next run quick.
func buildPlugin(spec string) (bin, parameter string, err error) {
	pkg, isGo := strings.CutPrefix(spec, "go:")
	if !isGo {
		bin, parameter, _ = strings.Cut(spec, ":")
		return bin, parameter, nil
	}
	pkg, parameter, _ = strings.Cut(pkg, ":")
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	bin = filepath.Join(cache, "ttrpc-generate", filepath.Base(pkg))
	build := exec.Command("go", "build", "-o", bin, pkg)
	build.Stderr = os.Stderr
	return bin, parameter, build.Run()
}
