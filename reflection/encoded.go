package reflection

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// encodedFile is a file that is known as bytes. It is sent as it is: what old generators have left
// in it need not be what the protobuf module builds descriptors of.
type encodedFile struct {
	path    string
	data    []byte
	depends []string
}

func (f *encodedFile) name() string            { return f.path }
func (f *encodedFile) encode() ([]byte, error) { return f.data, nil }

func (f *encodedFile) imports(all sources) (files []file) {
	for _, name := range f.depends {
		if imported, err := all.file(name); err == nil {
			files = append(files, imported)
		}
	}
	return files
}

// index is a source of encoded files: what is declared in them, by full name.
type index struct {
	files   map[string]*encodedFile
	symbols map[string]*encodedFile
	extends map[string]map[int32]*encodedFile // by message and number
}

func newIndex() *index {
	return &index{
		files:   map[string]*encodedFile{},
		symbols: map[string]*encodedFile{},
		extends: map[string]map[int32]*encodedFile{},
	}
}

// found returns f if there is one.
func found(f *encodedFile) (file, error) {
	if f == nil {
		return nil, errNotFound
	}
	return f, nil
}

func (x *index) file(name string) (file, error)   { return found(x.files[name]) }
func (x *index) symbol(name string) (file, error) { return found(x.symbols[name]) }

func (x *index) extension(message string, number int32) (file, error) {
	return found(x.extends[message][number])
}

func (x *index) extensions(message string) (numbers []int32) {
	for number := range x.extends[message] {
		numbers = append(numbers, number)
	}
	return numbers
}

// decode parses a FileDescriptorProto.
func decode(data []byte) (*descriptorpb.FileDescriptorProto, error) {
	fd := new(descriptorpb.FileDescriptorProto)
	return fd, proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(data, fd)
}

func newEncodedFile(fd *descriptorpb.FileDescriptorProto, data []byte) *encodedFile {
	return &encodedFile{path: fd.GetName(), data: data, depends: fd.Dependency}
}

// add notes all that a file declares.
func (x *index) add(fd *descriptorpb.FileDescriptorProto, data []byte) {
	f := newEncodedFile(fd, data)
	x.files[f.path] = f
	d := declarations{x, f, ""}.in(fd.GetPackage())
	d.messages(fd.MessageType)
	d.enums(fd.EnumType)
	d.extensions(fd.Extension)
	for _, service := range fd.Service {
		d.add(service.GetName())
		for _, method := range service.Method {
			d.in(service.GetName()).add(method.GetName())
		}
	}
}

// declarations adds what is declared in one scope of a file.
type declarations struct {
	to    *index
	file  *encodedFile
	scope string // with a dot at its end, or empty
}

func (d declarations) in(name string) declarations {
	if name != "" {
		d.scope += name + "."
	}
	return d
}

func (d declarations) add(name string) {
	if name = d.scope + name; d.to.symbols[name] == nil {
		d.to.symbols[name] = d.file
	}
}

func (d declarations) messages(messages []*descriptorpb.DescriptorProto) {
	for _, m := range messages {
		d.add(m.GetName())
		inner := d.in(m.GetName())
		for _, field := range m.Field {
			inner.add(field.GetName())
		}
		for _, oneof := range m.OneofDecl {
			inner.add(oneof.GetName())
		}
		inner.messages(m.NestedType)
		inner.enums(m.EnumType)
		inner.extensions(m.Extension)
	}
}

// enums adds enums and their values, which belong to the scope around the enum.
func (d declarations) enums(enums []*descriptorpb.EnumDescriptorProto) {
	for _, enum := range enums {
		d.add(enum.GetName())
		for _, value := range enum.Value {
			d.add(value.GetName())
		}
	}
}

func (d declarations) extensions(extensions []*descriptorpb.FieldDescriptorProto) {
	for _, x := range extensions {
		d.add(x.GetName())
		message := strings.TrimPrefix(x.GetExtendee(), ".")
		if d.to.extends[message] == nil {
			d.to.extends[message] = map[int32]*encodedFile{}
		}
		d.to.extends[message][x.GetNumber()] = d.file
	}
}
