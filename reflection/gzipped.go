package reflection

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// gzipped is the source that a registry of compressed files is.
type gzipped struct {
	find  func(name string) []byte
	index func() *index // of the named files and what they import
}

// newGzipped makes the index when it is first asked for: most servers never are.
func newGzipped(find func(name string) []byte, names []string) gzipped {
	for _, name := range names {
		if find(name) == nil {
			panic(fmt.Sprintf("reflection: WithGzipped names the file %q, which its registry does not have", name))
		}
	}
	return gzipped{find, sync.OnceValue(func() *index { return indexGzipped(find, names) })}
}

func indexGzipped(find func(name string) []byte, names []string) *index {
	x, seen := newIndex(), map[string]bool{}
	for queue := append([]string(nil), names...); len(queue) > 0; queue = queue[1:] {
		name := queue[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		if fd, data, err := findImported(find, name); err == nil {
			x.add(fd, data)
			queue = append(queue, fd.Dependency...)
		}
	}
	return x
}

// findImported finds a file by the name that another one imports it by. Where protoc was run in the
// folder of a file, as gogo's authors have done, the file is registered by the end of that name,
// and what is missing ends in its package. It gets the whole name.
func findImported(find func(name string) []byte, name string) (*descriptorpb.FileDescriptorProto, []byte, error) {
	for end, ok := name, true; ok; _, end, ok = strings.Cut(end, "/") {
		fd, data, err := decompress(find(end))
		if err != nil || end != name && !isFolderOf(strings.TrimSuffix(name, end), fd.GetPackage()) {
			continue
		}
		if fd.GetName() != name {
			fd.Name = &name
			data, err = proto.MarshalOptions{AllowPartial: true}.Marshal(fd)
		}
		return fd, data, err
	}
	return nil, nil, errNotFound
}

// isFolderOf reports whether a folder, with a slash at its end, is named like a package.
func isFolderOf(folder, pkg string) bool {
	return pkg != "" && strings.HasSuffix("/"+folder, "/"+strings.ReplaceAll(pkg, ".", "/")+"/")
}

func decompress(compressed []byte) (*descriptorpb.FileDescriptorProto, []byte, error) {
	if compressed == nil {
		return nil, nil, errNotFound
	}
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	fd, err := decode(data)
	return fd, data, err
}

// file finds any file of the registry, be it named or not.
func (g gzipped) file(name string) (file, error) {
	if f, err := g.index().file(name); err == nil {
		return f, nil
	}
	fd, data, err := decompress(g.find(name))
	if err != nil {
		return nil, err
	}
	return newEncodedFile(fd, data), nil
}

func (g gzipped) symbol(name string) (file, error) { return g.index().symbol(name) }

func (g gzipped) extension(message string, number int32) (file, error) {
	return g.index().extension(message, number)
}

func (g gzipped) extensions(message string) []int32 { return g.index().extensions(message) }
