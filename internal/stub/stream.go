package stub

import (
	"fmt"
	"strconv"
	"strings"
)

// streamTable writes the registration of the methods that stream.
func (w *writer) streamTable(s *Service) {
	w.P("Streams: map[string]", w.ttrpc, ".Stream{")
	w.eachStream(s, func(_ *Service, m *Method) {
		for _, name := range m.wire {
			w.P(strconv.Quote(name), ": {")
			w.P("Handler: func(", w.ctx, " ", w.context, ".Context, ", w.stream, " ", w.ttrpc, ".StreamServer) (interface{}, error) {")
			w.streamHandler(m)
			w.P("},")
			w.P(directions(m, ",\n"), ",")
			w.P("},")
		}
	})
	w.P("},")
}

// streamHandler writes the body of a handler. Only a client stream ends in a message.
func (w *writer) streamHandler(m *Method) {
	args := w.ctx
	if !m.ClientStreams {
		w.P(w.req, " := new(", m.Input, ")")
		w.returnOnError(w.stream + ".RecvMsg(" + w.req + ")")
		args += ", " + w.req
	}
	call := fmt.Sprintf("%s.%s(%s, &%s{%s})", w.svc, m.GoName, args, m.server, w.stream)
	if m.ServerStreams {
		call = "nil, " + call
	}
	w.P("return ", call)
}

// directions lists the fields of a Stream or StreamDesc that are true.
func directions(m *Method, separator string) string {
	var fields []string
	if m.ClientStreams {
		fields = append(fields, "StreamingClient: true")
	}
	if m.ServerStreams {
		fields = append(fields, "StreamingServer: true")
	}
	return strings.Join(fields, separator)
}

// openStream writes the body of a client's method that streams.
func (w *writer) openStream(s *Service, m *Method) {
	req := "nil"
	if !m.ClientStreams {
		req = w.req
	}
	w.P(w.stream, ", ", w.err, " := ", w.c, ".client.NewStream(", w.ctx, ", &", w.ttrpc, ".StreamDesc{", directions(m, ", "), "}, ",
		strconv.Quote(s.Name), ", ", strconv.Quote(m.called()), ", ", req, ")")
	w.P("if ", w.err, " != nil {")
	w.P("return nil, ", w.err)
	w.P("}")
	w.P("return &", m.client, "{", w.stream, "}, nil")
}

// serverStream writes the server's end of a stream: the interface and the type behind it.
func (w *writer) serverStream(s *Service, m *Method) {
	var send, recv string
	if m.ServerStreams {
		send = m.Output
	}
	if m.ClientStreams {
		recv = m.Input
	}
	w.comment(fmt.Sprintf("%s is the server's end of a call of %s.", s.streamServer(m), m.GoName))
	w.streamInterface(s.streamServer(m), "StreamServer", send, recv, "")
	w.streamStruct(m.server, "StreamServer", send, recv, "")
}

// clientStream writes the client's end of a stream. One that only sends ends in CloseAndRecv.
func (w *writer) clientStream(s *Service, m *Method) {
	var send, recv, last string
	if m.ClientStreams {
		send = m.Input
	}
	if m.ServerStreams {
		recv = m.Output
	} else {
		last = m.Output
	}
	w.comment(fmt.Sprintf("%s is the client's end of a call of %s.", s.streamClient(m), m.GoName))
	w.streamInterface(s.streamClient(m), "ClientStream", send, recv, last)
	w.streamStruct(m.client, "ClientStream", send, recv, last)
}

// streamInterface writes an interface on top of the library's base. Each of send, recv and last is
// the message type of a method, or empty where the stream has no such method.
func (w *writer) streamInterface(name, base, send, recv, last string) {
	w.P("type ", name, " interface {")
	if send != "" {
		w.P("Send(*", send, ") error")
	}
	if recv != "" {
		w.P("Recv() (*", recv, ", error)")
	}
	if last != "" {
		w.P("CloseAndRecv() (*", last, ", error)")
	}
	w.P(w.ttrpc, ".", base)
	w.P("}")
	w.P()
}

func (w *writer) streamStruct(name, base, send, recv, last string) {
	w.P("type ", name, " struct {")
	w.P(w.ttrpc, ".", base)
	w.P("}")
	w.P()
	if send != "" {
		w.P("func (", w.x, " *", name, ") Send(", w.m, " *", send, ") error {")
		w.P("return ", w.x, ".", base, ".SendMsg(", w.m, ")")
		w.P("}")
		w.P()
	}
	if recv != "" {
		w.receive(name, "Recv", base, recv)
	}
	if last != "" {
		w.receive(name, "CloseAndRecv", base, last)
	}
}

// receive writes the method that returns the next message, CloseAndRecv after closing the own side.
func (w *writer) receive(name, method, base, message string) {
	w.P("func (", w.x, " *", name, ") ", method, "() (*", message, ", error) {")
	if method == "CloseAndRecv" {
		w.returnOnError(w.x + "." + base + ".CloseSend()")
	}
	w.P(w.m, " := new(", message, ")")
	w.returnOnError(w.x + "." + base + ".RecvMsg(" + w.m + ")")
	w.P("return ", w.m, ", nil")
	w.P("}")
	w.P()
}
