package main

import (
	"context"
	"os"
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

	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/protobuf/types/gofeaturespb"
	_ "google.golang.org/protobuf/types/known/anypb"
)

// compile returns the descriptors of the named files and all they import, dependencies first.
func compile(includes, names []string) ([]*descriptorpb.FileDescriptorProto, error) {
	sources := editions{sourceResolver(includes)}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(protocompile.CompositeResolver{sources, protocompile.ResolverFunc(linkedIn)}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	var files []*descriptorpb.FileDescriptorProto
	seen := map[string]bool{}
	for _, f := range linked {
		files = appendFile(files, seen, f)
	}
	return files, nil
}

// appendFile appends a file after all that it imports, unless it has been seen.
func appendFile(files []*descriptorpb.FileDescriptorProto, seen map[string]bool, f protoreflect.FileDescriptor,
) []*descriptorpb.FileDescriptorProto {
	if seen[f.Path()] {
		return files
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		files = appendFile(files, seen, f.Imports().Get(i).FileDescriptor)
	}
	return append(files, descriptorProto(f))
}

// descriptorProto is what protoc would make of a file.
func descriptorProto(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	r, compiled := f.(linker.Result)
	if !compiled {
		return protodesc.ToFileDescriptorProto(f)
	}
	file := proto.CloneOf(r.FileDescriptorProto())
	separateImports(file)
	relocate(file)
	return file
}

// Field numbers in descriptor.proto, of which the paths of source locations consist.
const (
	dependencyField       = 3  // FileDescriptorProto.dependency
	syntaxField           = 12 // FileDescriptorProto.syntax
	editionField          = 14 // FileDescriptorProto.edition
	optionDependencyField = 15 // FileDescriptorProto.option_dependency
)

// separateImports takes the imports for options, the last ones, out of a linked file's
// dependencies.
func separateImports(file *descriptorpb.FileDescriptorProto) {
	file.Dependency = slices.Clip(file.Dependency[:len(file.Dependency)-len(file.OptionDependency)])
}

// relocate gives source locations the paths that they have with protoc: an import for options its
// own, and the edition that of the syntax, where plugins look for a file's first comment.
func relocate(file *descriptorpb.FileDescriptorProto) {
	imports := int32(len(file.Dependency))
	for _, l := range file.GetSourceCodeInfo().GetLocation() {
		switch {
		case len(l.Path) == 1 && l.Path[0] == editionField:
			l.Path = []int32{syntaxField}
		case len(l.Path) == 2 && l.Path[0] == dependencyField && l.Path[1] >= imports:
			l.Path = []int32{optionDependencyField, l.Path[1] - imports}
		}
	}
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
