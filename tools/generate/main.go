// Command generate runs protoc plugins over .proto files without protoc: the files are
// compiled in Go and handed to each plugin as protoc would.
//
//	go run ./tools/generate [-I dir]... [-C outdir] [-as prefix] -plugin name=binary[:parameter]... file.proto...
//
// A plugin's binary is a path, or a Go package ("go:import/path") that is built first. As with
// protoc, files with editions or with optional fields of proto3 are refused for a plugin that does
// not say that it supports them, and nothing is written when a plugin fails. The editions are those
// that github.com/bufbuild/protocompile knows: 2023.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/protobuf/types/known/anypb"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	var includes, plugins list
	var out outDir
	flag.StringVar(&out.dir, "C", ".", "the folder that generated files are written to")
	flag.StringVar(&out.prefix, "as", "", "the import path of that folder, left out of generated files' names")
	flag.Var(&includes, "I", "a folder that imports are searched in, or prefix=folder")
	flag.Var(&plugins, "plugin", "go:PACKAGE or PATH, then optionally :PARAMETER")
	flag.Parse()
	if flag.NArg() == 0 || len(plugins) == 0 {
		return errors.New("want at least one -plugin and one .proto file")
	}
	files, err := compile(includes, flag.Args())
	if err != nil {
		return err
	}
	return generate(plugins, out, files, flag.Args())
}

// generate writes what the plugins answer, once all have answered.
func generate(plugins []string, out outDir, files []*descriptorpb.FileDescriptorProto, names []string) error {
	var generated []*pluginpb.CodeGeneratorResponse_File
	for _, p := range plugins {
		resp, err := runPlugin(p, files, names)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		generated = append(generated, resp.File...)
	}
	for _, f := range generated {
		if err := out.write(f); err != nil {
			return err
		}
	}
	return nil
}

// compile returns the descriptors of the named files and all they import, dependencies first.
func compile(includes, names []string) ([]*descriptorpb.FileDescriptorProto, error) {
	sources := &editions{Resolver: sourceResolver(includes), files: map[string]string{}}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.CompositeResolver{sources, protocompile.ResolverFunc(linkedIn)}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, sources.explain(err)
	}
	var files []*descriptorpb.FileDescriptorProto
	seen := map[string]bool{}
	var add func(f protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		files = append(files, descriptorProto(f))
	}
	for _, f := range linked {
		add(f)
	}
	return files, nil
}

func descriptorProto(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	if r, ok := f.(linker.Result); ok {
		return r.FileDescriptorProto()
	}
	return protodesc.ToFileDescriptorProto(f)
}

// sourceResolver opens imports in the include folders;
// "prefix=folder" maps an import path's prefix to a folder.
func sourceResolver(includes []string) protocompile.Resolver {
	resolvers := protocompile.CompositeResolver{}
	for _, inc := range includes {
		prefix, dir, mapped := strings.Cut(inc, "=")
		if !mapped {
			resolvers = append(resolvers, &protocompile.SourceResolver{ImportPaths: []string{inc}})
			continue
		}
		resolvers = append(resolvers, protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
			rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
			if !ok {
				return protocompile.SearchResult{}, protoregistry.NotFound
			}
			src, err := os.Open(filepath.Join(dir, rest))
			return protocompile.SearchResult{Source: src}, err
		}))
	}
	if len(includes) == 0 {
		resolvers = append(resolvers, &protocompile.SourceResolver{})
	}
	return resolvers
}

// linkedIn finds the files whose Go packages this command imports (google/rpc/status.proto).
func linkedIn(path string) (protocompile.SearchResult, error) {
	f, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return protocompile.SearchResult{}, err
	}
	return protocompile.SearchResult{Proto: protodesc.ToFileDescriptorProto(f)}, nil
}

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
