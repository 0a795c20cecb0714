// Command generate runs protoc plugins over .proto files without protoc: the files are
// compiled in Go and handed to each plugin as protoc would.
//
//	go run ./tools/generate [-I dir]... [-C outdir] [-as prefix] -plugin binary[:parameter]... file.proto...
//
// A plugin's binary is a path, or a Go package ("go:import/path") that is built first. As with
// protoc, files with editions or with optional fields of proto3 are refused for a plugin that does
// not say that it supports them, and nothing is written when a plugin fails.
//
// Editions 2023 and 2024 are known. Three things that protoc checks in 2024 are not checked: the
// style of names, that another file's local types are not used, and that a file imported for its
// options is used for nothing else, of which plugins complain.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
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
