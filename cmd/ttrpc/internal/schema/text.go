package schema

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Text returns a declaration as it stands in a .proto file, without comments and options.
func Text(d protoreflect.Descriptor) string {
	p := new(printer)
	switch d := d.(type) {
	case protoreflect.ServiceDescriptor:
		p.service(d)
	case protoreflect.MethodDescriptor:
		p.line("// in service %s", d.Parent().FullName())
		p.method(d)
	case protoreflect.MessageDescriptor:
		p.scope(d)
		p.message(d)
	case protoreflect.EnumDescriptor:
		p.scope(d)
		p.enum(d)
	case protoreflect.FieldDescriptor:
		p.line("// in %s", d.Parent().FullName())
		p.field(d)
	default:
		p.line("// %s", d.FullName())
	}
	return p.b.String()
}

type printer struct {
	b      strings.Builder
	indent string
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(&p.b, p.indent+format+"\n", args...)
}

func (p *printer) open(format string, args ...any) {
	p.line(format+" {", args...)
	p.indent += "  "
}

func (p *printer) close() {
	p.indent = p.indent[2:]
	p.line("}")
}

// scope names the package, which a nested declaration does not show.
func (p *printer) scope(d protoreflect.Descriptor) { p.line("// %s", d.FullName()) }

func (p *printer) service(d protoreflect.ServiceDescriptor) {
	p.scope(d)
	p.open("service %s", d.Name())
	for i := range d.Methods().Len() {
		p.method(d.Methods().Get(i))
	}
	p.close()
}

func (p *printer) method(d protoreflect.MethodDescriptor) {
	stream := func(yes bool) string {
		if yes {
			return "stream "
		}
		return ""
	}
	p.line("rpc %s(%s%s) returns (%s%s);", d.Name(), stream(d.IsStreamingClient()), d.Input().FullName(),
		stream(d.IsStreamingServer()), d.Output().FullName())
}

func (p *printer) message(d protoreflect.MessageDescriptor) {
	if d.IsPlaceholder() {
		p.line("// %s was not found", d.FullName())
		return
	}
	p.open("message %s", d.Name())
	for i := range d.Messages().Len() {
		if nested := d.Messages().Get(i); !nested.IsMapEntry() {
			p.message(nested)
		}
	}
	for i := range d.Enums().Len() {
		p.enum(d.Enums().Get(i))
	}
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		oneof := fd.ContainingOneof()
		if oneof == nil || oneof.IsSynthetic() {
			p.field(fd)
		} else if oneof.Fields().Get(0) == fd {
			p.oneof(oneof)
		}
	}
	p.close()
}

func (p *printer) oneof(d protoreflect.OneofDescriptor) {
	p.open("oneof %s", d.Name())
	for i := range d.Fields().Len() {
		p.field(d.Fields().Get(i))
	}
	p.close()
}

func (p *printer) field(d protoreflect.FieldDescriptor) {
	label := ""
	switch {
	case d.IsMap():
		p.line("map<%s, %s> %s = %d;", typeName(d.MapKey()), typeName(d.MapValue()), d.Name(), d.Number())
		return
	case d.IsList():
		label = "repeated "
	case d.HasOptionalKeyword():
		label = "optional "
	case d.Cardinality() == protoreflect.Required:
		label = "required "
	}
	p.line("%s%s %s = %d;", label, typeName(d), d.Name(), d.Number())
}

func typeName(d protoreflect.FieldDescriptor) string {
	switch {
	case d.Message() != nil:
		return string(d.Message().FullName())
	case d.Enum() != nil:
		return string(d.Enum().FullName())
	}
	return d.Kind().String()
}

func (p *printer) enum(d protoreflect.EnumDescriptor) {
	p.open("enum %s", d.Name())
	for i := range d.Values().Len() {
		p.line("%s = %d;", d.Values().Get(i).Name(), d.Values().Get(i).Number())
	}
	p.close()
}
