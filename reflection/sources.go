package reflection

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoregistry"
)

// source is where descriptors are found. The names of symbols and messages are full, as in
// example.Greeter. What it does not have is an error, which the client gets as a text.
type source interface {
	file(name string) (file, error)
	symbol(name string) (file, error)
	extension(message string, number int32) (file, error)
	extensions(message string) []int32
}

// file is the descriptor of a .proto file.
type file interface {
	name() string
	// encode returns it as a FileDescriptorProto.
	encode() ([]byte, error)
	// imports returns the files that it imports and that can be found, in all if need be.
	imports(all sources) []file
}

// sources are asked one after the other. There is at least one, whose errors count.
type sources []source

// find returns what the first source has that has something.
func (all sources) find(in func(source) (file, error)) (f file, err error) {
	f, err = in(all[0])
	for _, s := range all[1:] {
		if err == nil {
			break
		}
		if found, failed := in(s); failed == nil {
			f, err = found, nil
		}
	}
	return f, err
}

func (all sources) file(name string) (file, error) {
	return all.find(func(s source) (file, error) { return s.file(name) })
}

func (all sources) symbol(name string) (file, error) {
	return all.find(func(s source) (file, error) { return s.symbol(name) })
}

func (all sources) extension(message string, number int32) (file, error) {
	return all.find(func(s source) (file, error) { return s.extension(message, number) })
}

// extensions returns the numbers of a message's extensions, sorted.
func (all sources) extensions(message string) (numbers []int32) {
	for _, s := range all {
		numbers = append(numbers, s.extensions(message)...)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// withImports encodes a file, be it sent already, and all that it imports, directly or not, and
// that was not sent: each after one that imports it. It notes what it returns in sent. Imports that
// nobody has are left out.
func (all sources) withImports(root file, sent map[string]bool) (encoded [][]byte, err error) {
	seen := map[string]bool{root.name(): true}
	for queue := []file{root}; len(queue) > 0; queue = queue[1:] {
		f := queue[0]
		if len(encoded) == 0 || !sent[f.name()] {
			b, err := f.encode()
			if err != nil {
				return nil, err
			}
			sent[f.name()] = true
			encoded = append(encoded, b)
		}
		for _, imported := range f.imports(all) {
			if !seen[imported.name()] {
				seen[imported.name()] = true
				queue = append(queue, imported)
			}
		}
	}
	return encoded, nil
}

// errNotFound is what protobuf's registry says of what it does not have.
var errNotFound = protoregistry.NotFound
