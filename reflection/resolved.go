package reflection

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// resolved is the source that a resolver of the protobuf module is.
type resolved struct{ files protodesc.Resolver }

func (r resolved) file(name string) (file, error) {
	fd, err := r.files.FindFileByPath(name)
	return known(fd, err)
}

func (r resolved) symbol(name string) (file, error) {
	d, err := r.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	return known(d.ParentFile(), nil)
}

// known returns a file of which there is more than the name.
func known(fd protoreflect.FileDescriptor, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	if fd == nil || fd.IsPlaceholder() {
		return nil, errNotFound
	}
	return descriptor{fd}, nil
}

func (r resolved) extension(message string, number int32) (f file, err error) {
	err = errNotFound
	r.eachExtension(message, func(xd protoreflect.ExtensionDescriptor) {
		if err != nil && int32(xd.Number()) == number {
			f, err = known(xd.ParentFile(), nil)
		}
	})
	return f, err
}

func (r resolved) extensions(message string) (numbers []int32) {
	r.eachExtension(message, func(xd protoreflect.ExtensionDescriptor) {
		numbers = append(numbers, int32(xd.Number()))
	})
	return numbers
}

// eachExtension looks through all files, where the resolver tells of all.
func (r resolved) eachExtension(message string, f func(protoreflect.ExtensionDescriptor)) {
	files, ok := r.files.(interface {
		RangeFiles(f func(protoreflect.FileDescriptor) bool)
	})
	if !ok {
		return
	}
	files.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		eachExtension(fd, message, f)
		return true
	})
}

// scope is what a file and a message have in common: they declare messages and extensions.
type scope interface {
	Messages() protoreflect.MessageDescriptors
	Extensions() protoreflect.ExtensionDescriptors
}

func eachExtension(s scope, message string, f func(protoreflect.ExtensionDescriptor)) {
	for i := range s.Extensions().Len() {
		if xd := s.Extensions().Get(i); string(xd.ContainingMessage().FullName()) == message {
			f(xd)
		}
	}
	for i := range s.Messages().Len() {
		eachExtension(s.Messages().Get(i), message, f)
	}
}

// registered is what the program has registered. Extensions have a registry of their own.
type registered struct{}

func (registered) file(name string) (file, error) {
	return resolved{protoregistry.GlobalFiles}.file(name)
}

func (registered) symbol(name string) (file, error) {
	return resolved{protoregistry.GlobalFiles}.symbol(name)
}

func (registered) extension(message string, number int32) (file, error) {
	types := protoregistry.GlobalTypes
	xt, err := types.FindExtensionByNumber(protoreflect.FullName(message), protoreflect.FieldNumber(number))
	if err != nil {
		return nil, err
	}
	return known(xt.TypeDescriptor().ParentFile(), nil)
}

func (registered) extensions(message string) (numbers []int32) {
	protoregistry.GlobalTypes.RangeExtensionsByMessage(protoreflect.FullName(message), func(xt protoreflect.ExtensionType) bool {
		numbers = append(numbers, int32(xt.TypeDescriptor().Number()))
		return true
	})
	return numbers
}

// descriptor is a file that the protobuf module has built.
type descriptor struct{ protoreflect.FileDescriptor }

func (d descriptor) name() string { return d.Path() }

func (d descriptor) encode() ([]byte, error) {
	return proto.Marshal(protodesc.ToFileDescriptorProto(d))
}

func (d descriptor) imports(all sources) (files []file) {
	for i := range d.Imports().Len() {
		fd := d.Imports().Get(i)
		f, err := known(fd.FileDescriptor, nil)
		if err != nil { // not among its resolver's files
			f, err = all.file(fd.Path())
		}
		if err == nil {
			files = append(files, f)
		}
	}
	return files
}
