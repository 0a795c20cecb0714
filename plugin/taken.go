package plugin

import (
	"github.com/gogo/protobuf/gogoproto"
	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"
)

// taken lists the Go names that gogo's generator declares for a file's messages and enums.
func taken(file *descriptor.FileDescriptorProto) []string {
	return takenInside(file, nil, file.MessageType, file.EnumType)
}

// takenInside lists them for the messages and enums inside of a message, whose own name and its
// parents' are the path, or at the top of the file.
func takenInside(file *descriptor.FileDescriptorProto, path []string, messages []*descriptor.DescriptorProto,
	enums []*descriptor.EnumDescriptorProto,
) (names []string) {
	for _, e := range enums {
		names = append(names, goName(path, e.GetName()))
		names = append(names, enumValues(file, path, e)...)
	}
	for _, m := range messages {
		name := goName(path, m.GetName())
		names = append(names, name)
		for _, field := range m.Field {
			if field.OneofIndex != nil {
				names = append(names, name+"_"+generator.CamelCase(field.GetName()))
			}
		}
		inside := append(path[:len(path):len(path)], m.GetName())
		names = append(names, takenInside(file, inside, m.NestedType, m.EnumType)...)
	}
	return names
}

// enumValues lists the names of constants. Before them stands the enum's name at the top of a file,
// and the message's for an enum in a message, unless an option says no.
func enumValues(file *descriptor.FileDescriptorProto, path []string, e *descriptor.EnumDescriptorProto) (names []string) {
	prefix := ""
	if gogoproto.EnabledGoEnumPrefix(file, e) {
		if len(path) == 0 {
			path = []string{e.GetName()}
		}
		prefix = generator.CamelCaseSlice(path) + "_"
	}
	for _, v := range e.Value {
		names = append(names, prefix+v.GetName())
	}
	return names
}

func goName(path []string, name string) string {
	return generator.CamelCaseSlice(append(path[:len(path):len(path)], name))
}
