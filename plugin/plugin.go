// Package plugin adds ttrpc services to gogo's generator. It is imported for its effect by a vanity
// binary, a protoc plugin with settings of one's own:
//
//	import (
//		_ "github.com/containerd/ttrpc/plugin"
//		"github.com/gogo/protobuf/vanity/command"
//	)
//
//	func main() { command.Write(command.Generate(command.Read())) }
//
// The code of services is written into the messages' own *.pb.go file, if the parameter plugins
// contains ttrpc: --NAME_out=plugins=ttrpc:DIR. The parameter unimplemented=false leaves out the
// types UnimplementedFooService that servers can embed.
package plugin

import (
	"slices"
	"strconv"

	"github.com/gogo/protobuf/protoc-gen-gogo/descriptor"
	"github.com/gogo/protobuf/protoc-gen-gogo/generator"

	"github.com/containerd/ttrpc/internal/stub"
)

func init() { generator.RegisterPlugin(new(services)) }

// services is what gogo's generator runs for each file.
type services struct {
	*generator.Generator
	unimplemented bool // write the types that servers can embed
}

// Name is what the parameter plugins calls it.
func (p *services) Name() string { return "ttrpc" }

// Init is called once, after the generator has read its request.
func (p *services) Init(g *generator.Generator) {
	p.Generator, p.unimplemented = g, true
	if value, given := g.Param["unimplemented"]; given {
		var err error
		if p.unimplemented, err = strconv.ParseBool(value); err != nil {
			p.Error(err, "parameter unimplemented="+value)
		}
	}
}

// GenerateImports has nothing to add: Generate names its imports to the generator.
func (p *services) GenerateImports(*generator.FileDescriptor) {}

// Generate writes the file's services.
func (p *services) Generate(file *generator.FileDescriptor) {
	if len(file.Service) == 0 {
		return
	}
	src, err := p.model(file).Source()
	if err != nil {
		p.Error(err, file.GetName())
	}
	p.P(string(src))
}

// model fills the neutral model. Naming a type makes its package an import of the file, and the
// first of two packages with one name keeps it.
func (p *services) model(file *generator.FileDescriptor) *stub.File {
	f := &stub.File{
		TTRPC: string(p.AddImport("github.com/containerd/ttrpc")),
		Taken: taken(file.FileDescriptorProto), Unimplemented: p.unimplemented,
	}
	methods := hasMethods(file)
	if methods {
		f.Context = string(p.AddImport("context"))
	}
	comments := commentsOf(file.FileDescriptorProto)
	for i, s := range file.Service {
		f.Services = append(f.Services, p.service(file, s, comments.at(serviceField, i)))
	}
	if methods && p.unimplemented {
		f.Status = string(p.AddImport("google.golang.org/grpc/status"))
		f.Codes = string(p.AddImport("google.golang.org/grpc/codes"))
	}
	return f
}

func hasMethods(file *generator.FileDescriptor) bool {
	return slices.ContainsFunc(file.Service, func(s *descriptor.ServiceDescriptorProto) bool { return len(s.Method) > 0 })
}

func (p *services) service(file *generator.FileDescriptor, s *descriptor.ServiceDescriptorProto, comments comments) *stub.Service {
	full := s.GetName()
	if pkg := file.GetPackage(); pkg != "" {
		full = pkg + "." + full
	}
	out := &stub.Service{
		Name:    full,
		GoName:  s.GetName(),
		Streams: exported(s.GetName()),
		Doc:     comments.doc(s.GetOptions().GetDeprecated()),
	}
	for i, m := range s.Method {
		out.Methods = append(out.Methods, p.method(m, comments.at(methodField, i)))
	}
	return out
}

func (p *services) method(m *descriptor.MethodDescriptorProto, comments comments) *stub.Method {
	return &stub.Method{
		Name:          m.GetName(),
		GoName:        exported(m.GetName()),
		CamelName:     generator.CamelCase(m.GetName()),
		Input:         p.goType(m.GetInputType()),
		Output:        p.goType(m.GetOutputType()),
		ClientStreams: m.GetClientStreaming(),
		ServerStreams: m.GetServerStreaming(),
		Doc:           comments.doc(m.GetOptions().GetDeprecated()),
	}
}

// goType is what the file being written calls a message.
func (p *services) goType(name string) string {
	p.RecordTypeUse(name)
	return p.TypeName(p.ObjectNamed(name))
}

// exported keeps a name that Go exports as it is, since callers know it so,
// and changes every other.
func exported(name string) string {
	if name[0] >= 'A' && name[0] <= 'Z' {
		return name
	}
	return generator.CamelCase(name)
}
