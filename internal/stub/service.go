package stub

import (
	"fmt"
	"strconv"
)

// service writes every declaration of one service.
func (w *writer) service(s *Service) {
	w.serviceInterface(s)
	w.eachStream(s, w.serverStream)
	if w.embeddable {
		w.unimplemented(s)
	}
	w.register(s)
	if s.hasStreams() {
		w.clientInterface(s)
	}
	w.clientStruct(s)
	w.newClient(s)
	for _, m := range s.Methods {
		w.clientMethod(s, m)
	}
	w.eachStream(s, w.clientStream)
}

func (w *writer) eachStream(s *Service, write func(*Service, *Method)) {
	for _, m := range s.Methods {
		if m.streams() {
			write(s, m)
		}
	}
}

// serviceInterface writes what a server implements.
func (w *writer) serviceInterface(s *Service) {
	w.doc(s.Doc)
	w.P("type ", s.serviceType(), " interface {")
	for _, m := range s.Methods {
		w.doc(m.Doc)
		w.P(m.GoName, w.serverSignature(s, m))
	}
	w.P("}")
	w.P()
}

func (w *writer) serverSignature(s *Service, m *Method) string {
	ctx := w.context + ".Context"
	switch {
	case m.ClientStreams && m.ServerStreams:
		return fmt.Sprintf("(%s, %s) error", ctx, s.streamServer(m))
	case m.ClientStreams:
		return fmt.Sprintf("(%s, %s) (*%s, error)", ctx, s.streamServer(m), m.Output)
	case m.ServerStreams:
		return fmt.Sprintf("(%s, *%s, %s) error", ctx, m.Input, s.streamServer(m))
	}
	return fmt.Sprintf("(%s, *%s) (*%s, error)", ctx, m.Input, m.Output)
}

// unimplemented writes a type that has every method, also those that the service will be given: a
// server that embeds it has them too. The texts are those of grpc's.
func (w *writer) unimplemented(s *Service) {
	w.comment(fmt.Sprintf("%s answers every call of %s with the code Unimplemented.\n"+
		"A server that embeds it, by value, still compiles when the service gets another method.", s.unimplemented, s.Name))
	w.deprecation(s)
	w.P("type ", s.unimplemented, " struct{}")
	w.P()
	for _, m := range s.Methods {
		w.P("func (", s.unimplemented, ") ", m.GoName, w.serverSignature(s, m), " {")
		failure := fmt.Sprintf("%s.Error(%s.Unimplemented, %q)", w.status, w.codes, "method "+m.GoName+" not implemented")
		if m.ServerStreams {
			w.P("return ", failure)
		} else {
			w.P("return nil, ", failure)
		}
		w.P("}")
		w.P()
	}
}

// register writes the function that adds an implementation to a server. A service without streams
// uses Server.Register, which every release of the library has.
func (w *writer) register(s *Service) {
	w.comment(fmt.Sprintf("%s makes %s answer calls of %s by calling %s.", s.registerFunc(), w.srv, s.Name, w.svc))
	w.deprecation(s)
	w.P("func ", s.registerFunc(), "(", w.srv, " *", w.ttrpc, ".Server, ", w.svc, " ", s.serviceType(), ") {")
	if s.hasStreams() {
		w.P(w.srv, ".RegisterService(", strconv.Quote(s.Name), ", &", w.ttrpc, ".ServiceDesc{")
		w.methodTable(s, "Methods: ", "},")
		w.streamTable(s)
		w.P("})")
	} else {
		w.methodTable(s, w.srv+".Register("+strconv.Quote(s.Name)+", ", "})")
	}
	w.P("}")
	w.P()
}

// deprecation repeats a service's notice on the functions that lead to it.
func (w *writer) deprecation(s *Service) {
	if s.Doc.Deprecated {
		w.comment("\nDeprecated: Do not use.")
	}
}

func (w *writer) methodTable(s *Service, before, after string) {
	var unary []*Method
	for _, m := range s.Methods {
		if !m.streams() {
			unary = append(unary, m)
		}
	}
	if len(unary) == 0 && s.hasStreams() {
		return
	}
	w.P(before, "map[string]", w.ttrpc, ".Method{")
	for _, m := range unary {
		for _, name := range m.wire {
			w.methodHandler(m, name)
		}
	}
	w.P(after)
}

func (w *writer) methodHandler(m *Method, name string) {
	w.P(strconv.Quote(name), ": func(", w.ctx, " ", w.context, ".Context, ", w.unmarshal, " func(interface{}) error) (interface{}, error) {")
	w.P(w.req, " := new(", m.Input, ")")
	w.returnOnError(w.unmarshal + "(" + w.req + ")")
	w.P("return ", w.svc, ".", m.GoName, "(", w.ctx, ", ", w.req, ")")
	w.P("},")
}

// returnOnError writes a call whose error ends a function with two results.
func (w *writer) returnOnError(call string) {
	w.P("if ", w.err, " := ", call, "; ", w.err, " != nil {")
	w.P("return nil, ", w.err)
	w.P("}")
}

// clientInterface writes what a caller of a service with streams holds.
func (w *writer) clientInterface(s *Service) {
	w.doc(s.Doc)
	w.P("type ", s.clientType(), " interface {")
	for _, m := range s.Methods {
		w.doc(m.Doc)
		w.P(m.GoName, w.clientSignature(s, m, "", ""))
	}
	w.P("}")
	w.P()
}

// clientSignature writes parameters and results; the parameters are named if names are given.
func (w *writer) clientSignature(s *Service, m *Method, ctx, req string) string {
	named := func(name, goType string) string {
		if name == "" {
			return goType
		}
		return name + " " + goType
	}
	params, result := named(ctx, w.context+".Context"), "*"+m.Output
	if !m.ClientStreams {
		params += ", " + named(req, "*"+m.Input)
	}
	if m.streams() {
		result = s.streamClient(m)
	}
	return fmt.Sprintf("(%s) (%s, error)", params, result)
}

func (w *writer) clientStruct(s *Service) {
	w.P("type ", s.client, " struct {")
	w.P("client *", w.ttrpc, ".Client")
	w.P("}")
	w.P()
}

func (w *writer) newClient(s *Service) {
	w.comment(fmt.Sprintf("%s returns a client of %s that calls through %s.", s.newFunc(), s.Name, w.client))
	w.deprecation(s)
	w.P("func ", s.newFunc(), "(", w.client, " *", w.ttrpc, ".Client) ", s.clientType(), " {")
	w.P("return &", s.client, "{client: ", w.client, "}")
	w.P("}")
	w.P()
}

func (w *writer) clientMethod(s *Service, m *Method) {
	w.P("func (", w.c, " *", s.client, ") ", m.GoName, w.clientSignature(s, m, w.ctx, w.req), " {")
	if m.streams() {
		w.openStream(s, m)
	} else {
		w.call(s, m)
	}
	w.P("}")
	w.P()
}

func (w *writer) call(s *Service, m *Method) {
	w.P(w.resp, " := new(", m.Output, ")")
	w.returnOnError(fmt.Sprintf("%s.client.Call(%s, %q, %q, %s, %s)", w.c, w.ctx, s.Name, m.called(), w.req, w.resp))
	w.P("return ", w.resp, ", nil")
}
