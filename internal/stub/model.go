// Package stub writes the Go code of ttrpc services. Both generators use it: each front end fills
// the neutral model of this file from its own descriptors, and [File.Source] writes the
// declarations.
package stub

// File is all that is generated from one .proto file. Go types are given as they are written in
// the generated file, qualified where they come from another package.
type File struct {
	TTRPC    string   // what package ttrpc is called in the file
	Context  string   // what package context is called; not needed without methods
	Taken    []string // names that other generated declarations of the file hold
	Services []*Service

	Unimplemented bool   // write a type for each service that its servers can embed
	Status, Codes string // what these packages of grpc's are called, if a method is Unimplemented
}

// Service is one service.
type Service struct {
	Name    string // full name, as it travels
	GoName  string // its declarations are GoNameService, RegisterGoNameService, NewGoNameClient
	Streams string // those of its streams are StreamsClient, Streams_MethodServer ...
	Doc     Doc
	Methods []*Method

	client        string // the unexported type behind NewGoNameClient
	unimplemented string // the type that has every method and does nothing
}

// Method is one method of a service.
type Method struct {
	Name          string // as the .proto file spells it
	GoName        string // name of the Go method
	CamelName     string // the name that releases of protoc-gen-go-ttrpc up to v1.2.10 register
	Input, Output string // Go types, without the pointer
	ClientStreams bool
	ServerStreams bool
	Doc           Doc

	wire           []string // every name that the server answers to, Name first
	server, client string   // the unexported types behind its stream interfaces
}

// Doc is what the .proto file says about a service or method.
type Doc struct {
	Leading, Trailing string // comments, without their markers
	Deprecated        bool
}

// hasStreams reports whether the service needs more than ttrpc.Method.
func (s *Service) hasStreams() bool {
	for _, m := range s.Methods {
		if m.streams() {
			return true
		}
	}
	return false
}

func (m *Method) streams() bool { return m.ClientStreams || m.ServerStreams }

// called is the name that a client calls. A unary method goes by its .proto name, which is what
// gogo servers and other languages register. A stream goes by the camel-case name: that is the
// only one that protoc-gen-go-ttrpc's servers up to v1.2.10 know, and their clients call it too.
func (m *Method) called() string {
	if m.streams() {
		return m.wire[len(m.wire)-1]
	}
	return m.Name
}
