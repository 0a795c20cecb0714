package schema

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// withDependencies returns a file that imports whatever declares the types it uses. By itself it
// may name them by other paths: two programs compile one .proto file under two names, and the first
// of them counts here.
func (b building) withDependencies(fd *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	var more []string
	for _, name := range references(fd) {
		path := b.pathOf(protoreflect.FullName(strings.TrimPrefix(name, ".")))
		if path != "" && path != fd.GetName() && !slices.Contains(fd.Dependency, path) && !slices.Contains(more, path) {
			more = append(more, path)
		}
	}
	if more == nil {
		return fd
	}
	fd = proto.Clone(fd).(*descriptorpb.FileDescriptorProto)
	fd.Dependency = append(fd.Dependency, more...)
	return fd
}

// pathOf returns the file that declares a name, and "" where none does.
func (b building) pathOf(name protoreflect.FullName) string {
	if path, ok := b.s.symbols[name]; ok {
		return path
	}
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		return d.ParentFile().Path()
	}
	return ""
}

// references returns the names of types that a file uses.
func references(fd *descriptorpb.FileDescriptorProto) (names []string) {
	fields := func(list []*descriptorpb.FieldDescriptorProto) {
		for _, f := range list {
			names = append(names, f.GetTypeName(), f.GetExtendee())
		}
	}
	var messages func([]*descriptorpb.DescriptorProto)
	messages = func(list []*descriptorpb.DescriptorProto) {
		for _, md := range list {
			fields(md.GetField())
			fields(md.GetExtension())
			messages(md.GetNestedType())
		}
	}
	fields(fd.GetExtension())
	messages(fd.GetMessageType())
	for _, sd := range fd.GetService() {
		for _, md := range sd.GetMethod() {
			names = append(names, md.GetInputType(), md.GetOutputType())
		}
	}
	return names
}
