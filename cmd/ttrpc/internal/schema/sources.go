package schema

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/reflection"
)

// Proto is files in the language of protobuf, and what they import, looked for in dirs.
func Proto(dirs, files []string) Source {
	load := func(ctx context.Context) (Files, error) {
		if len(dirs) == 0 {
			dirs = []string{""} // names as they are
		}
		compiler := protocompile.Compiler{
			Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: dirs}),
		}
		names := make([]string, len(files))
		for i, file := range files {
			names[i] = nameWithin(dirs, file)
		}
		linked, err := compiler.Compile(ctx, names...)
		if err != nil {
			return nil, err
		}
		var all Files
		seen := map[string]bool{}
		for _, file := range linked {
			all = withImports(all, file, seen)
		}
		return all, nil
	}
	return Source{Name: "-proto", Load: load, Required: true}
}

// nameWithin returns the name by which others import a file: one that is given with the folder that
// it is in, as protoc takes it, loses that.
func nameWithin(dirs []string, file string) string {
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return file
		}
	}
	for _, dir := range dirs {
		rel, err := filepath.Rel(dir, file)
		if _, statErr := os.Stat(file); err == nil && statErr == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return file
}

func withImports(all Files, file protoreflect.FileDescriptor, seen map[string]bool) Files {
	if seen[file.Path()] || file.IsPlaceholder() {
		return all
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		all = withImports(all, file.Imports().Get(i).FileDescriptor, seen)
	}
	return append(all, protodesc.ToFileDescriptorProto(file))
}

// Protoset is a file with an encoded FileDescriptorSet, as protoc's --descriptor_set_out writes it.
func Protoset(path string) Source {
	load := func(context.Context) (Files, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return decodeSet(data)
	}
	return Source{Name: "-protoset " + path, Load: load, Required: true}
}

func decodeSet(data []byte) (Files, error) {
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(data, set); err != nil {
		return nil, fmt.Errorf("this is no FileDescriptorSet: %w", err)
	}
	return set.File, nil
}

// Reflection is what the server tells of itself.
func Reflection(client *ttrpc.Client) Source {
	load := func(ctx context.Context) (Files, error) {
		names, err := reflection.ListServices(ctx, client)
		if err != nil {
			return nil, withoutReflection(err)
		}
		var all Files
		for _, name := range names {
			if set, err := reflection.FileContainingSymbol(ctx, client, name); err == nil {
				all = append(all, set.File...)
			}
		}
		return all, nil
	}
	lookup := func(ctx context.Context, name protoreflect.FullName) (Files, error) {
		set, err := reflection.FileContainingSymbol(ctx, client, string(name))
		return set.GetFile(), err
	}
	return Source{Name: "reflection", Load: load, Lookup: lookup}
}

func withoutReflection(err error) error {
	switch ttrpc.StatusOf(err).Code() {
	case codes.Unimplemented, codes.NotFound, codes.InvalidArgument: // of v1.0 and of the Rust crate
		return errors.New("the server does not have the service grpc.reflection.v1.ServerReflection")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the server has not answered in time")
	}
	return err
}
