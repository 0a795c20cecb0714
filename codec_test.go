//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
)

// The messages here have the methods of each generation of generated code, by hand, and one string
// field, so that each can read what any other has written. Real generated code is tested in
// interop.

// sizedMessage is like gogo's.
type sizedMessage struct {
	text string
	fail error
	lie  int // how much more its Size says
}

func (m *sizedMessage) Reset()         { *m = sizedMessage{fail: m.fail} }
func (m *sizedMessage) String() string { return m.text }
func (*sizedMessage) ProtoMessage()    {}
func (m *sizedMessage) Size() int      { return len(encode(text(m.text))) + m.lie }
func (m *sizedMessage) MarshalToSizedBuffer(b []byte) (int, error) {
	data := encode(text(m.text))
	return copy(b[len(b)-len(data):], data), m.fail
}
func (m *sizedMessage) Unmarshal(b []byte) error {
	var in message
	err := proto.Unmarshal(b, &in)
	m.text += in.Value // generated code appends: who unmarshals has to reset
	return errors.Join(err, m.fail)
}

// toMessage is like gogo's of an older release.
type toMessage struct{ text string }

func (m *toMessage) Reset()                          { *m = toMessage{} }
func (m *toMessage) String() string                  { return m.text }
func (*toMessage) ProtoMessage()                     {}
func (m *toMessage) Size() int                       { return len(encode(text(m.text))) }
func (m *toMessage) MarshalTo(b []byte) (int, error) { return copy(b, encode(text(m.text))), nil }
func (m *toMessage) Unmarshal(b []byte) error {
	var in message
	err := proto.Unmarshal(b, &in)
	m.text += in.Value
	return err
}

// tabledMessage is like gogo's without marshalers, and golang/protobuf's from 1.2 on.
type tabledMessage struct{ text string }

func (m *tabledMessage) Reset()         { *m = tabledMessage{} }
func (m *tabledMessage) String() string { return m.text }
func (*tabledMessage) ProtoMessage()    {}
func (m *tabledMessage) XXX_Size() int  { return len(encode(text(m.text))) }
func (m *tabledMessage) XXX_Marshal(b []byte, _ bool) ([]byte, error) {
	return append(b, encode(text(m.text))...), nil
}
func (m *tabledMessage) XXX_Unmarshal(b []byte) error {
	var in message
	err := proto.Unmarshal(b, &in)
	m.text += in.Value
	return err
}

// taggedMessage is like golang/protobuf's before that.
type taggedMessage struct {
	Text string `protobuf:"bytes,1,opt,name=text,proto3"`
}

func (m *taggedMessage) Reset()         { *m = taggedMessage{} }
func (m *taggedMessage) String() string { return m.Text }
func (*taggedMessage) ProtoMessage()    {}

// vtLike has vtprotobuf's methods beside those of protobuf-go. Nobody may call them.
type vtLike struct{ *message }

func newVT(s string) *vtLike { return &vtLike{text(s)} }

func (m *vtLike) SizeVT() int                                { panic("SizeVT") }
func (m *vtLike) MarshalToSizedBufferVT([]byte) (int, error) { panic("MarshalToSizedBufferVT") }
func (m *vtLike) UnmarshalVT([]byte) error                   { panic("UnmarshalVT") }

// form is one generation: a new message, and what is in one.
type form struct {
	new  func(string) any
	text func(any) string
}

var forms = map[string]form{
	"protobuf-go":            {func(s string) any { return text(s) }, func(m any) string { return m.(*message).Value }},
	"vtprotobuf":             {func(s string) any { return newVT(s) }, func(m any) string { return m.(*vtLike).Value }},
	"gogo sized":             {func(s string) any { return &sizedMessage{text: s} }, func(m any) string { return m.(*sizedMessage).text }},
	"gogo to":                {func(s string) any { return &toMessage{s} }, func(m any) string { return m.(*toMessage).text }},
	"golang/protobuf tables": {func(s string) any { return &tabledMessage{s} }, func(m any) string { return m.(*tabledMessage).text }},
	"golang/protobuf tags":   {func(s string) any { return &taggedMessage{s} }, func(m any) string { return m.(*taggedMessage).Text }},
}

// Every form writes the same bytes, and reads what every form has written, into a message that has
// something in it. It keeps nothing of the connection's buffers, which later calls use.
func TestFormsOfMessages(t *testing.T) {
	c, p := rawServer(t, "unix")
	texts := []string{"", "x", strings.Repeat("é", 1000)}
	for from, writer := range forms {
		for to, reader := range forms {
			var read []any
			for _, s := range texts {
				m := reader.new("something else")
				result := make(chan error, 1)
				go func() { result <- c.Call(bg, svc, "echo", writer.new(s), m) }()
				f, req := p.recvRequest()
				equal(t, string(req.Payload), string(encode(text(s))))
				p.send(rawFrame{id: f.id, typ: 2, data: encode(&ttrpc.Response{Payload: req.Payload})})
				if err := wait(t, result, "the call"); err != nil || reader.text(m) != s {
					t.Errorf("from %s to %s: %.20q, %v", from, to, reader.text(m), err)
				}
				read = append(read, m)
			}
			for i, s := range texts {
				equal(t, reader.text(read[i]), s)
			}
		}
	}
}

// Each form is called with each other's methods, unary and in a stream.
func TestFormsOverTheWire(t *testing.T) {
	for name, f := range forms {
		t.Run(name, func(t *testing.T) {
			c := serve(t, withMethod("form", func(_ context.Context, unmarshal func(any) error) (any, error) {
				m := f.new("")
				err := unmarshal(m)
				return m, err
			}), withStream("formStream", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
				m := f.new("")
				return errors.Join(ss.RecvMsg(m), ss.SendMsg(m))
			}))).client()
			for _, mine := range forms {
				out := mine.new("used")
				check(t, c.Call(bg, svc, "form", mine.new("x"), out))
				equal(t, mine.text(out), "x")
				cs := open(t, bg, c, both, "formStream", mine.new("y"))
				out = mine.new("used")
				check(t, cs.RecvMsg(out))
				equal(t, mine.text(out), "y")
			}
		})
	}
}

type foreign struct{ text string }

// What is no message is refused in the original's words, on both sides, and the connection lives
// on.
func TestForeignTypes(t *testing.T) {
	for _, v := range []any{nil, "text", 5, foreign{"x"}, &foreign{"x"}, errors.New("x"), []byte("x")} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			c := serve(t,
				withMethod("answer", func(context.Context, func(any) error) (any, error) { return v, nil }),
				withMethod("into", func(_ context.Context, unmarshal func(any) error) (any, error) { return text(""), unmarshal(v) }),
				withStream("stream", bidi(func(_ context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(v) })),
				withStream("intoStream", bidi(func(_ context.Context, ss ttrpc.StreamServer) error { return ss.RecvMsg(v) }))).client()
			marshal := fmt.Sprintf("ttrpc: cannot marshal unknown type: %T", v)
			into := fmt.Sprintf("ttrpc: cannot unmarshal into unknown type: %T", v)
			equal(t, c.Call(bg, svc, "echo", v, text("")).Error(), marshal)
			equal(t, c.Call(bg, svc, "echo", text("x"), v).Error(), into)
			_, err := call(bg, c, "into", "x")
			wantStatus(t, err, codes.Internal, fmt.Sprintf("ttrpc: error unsupported request type: %T", v))
			_, err = recvText(open(t, bg, c, both, "intoStream", text("x")))
			wantStatus(t, err, codes.Internal, fmt.Sprintf("ttrpc: error unsupported request type: %T", v))
			_, err = call(bg, c, "answer", "")
			if v == nil {
				wantStatus(t, err, codes.Unknown, "ttrpc: marshal called with nil: /test.Service/answer returned neither a message nor an error")
			} else {
				wantStatus(t, err, codes.Internal, fmt.Sprintf("ttrpc: error unsupported response type: %T", v))
				cs := open(t, bg, c, both, "chat", nil)
				equal(t, cs.SendMsg(v).Error(), marshal)
				_, err = recvText(open(t, bg, c, both, "stream", nil))
				wantStatus(t, err, codes.Internal, fmt.Sprintf("ttrpc: error unsupported response type: %T", v))
				_, err = c.NewStream(bg, both, svc, "chat", v)
				equal(t, err.Error(), marshal)
			}
			wantEcho(t, c)
		})
	}
}

// A typed nil is an empty message to send, and nothing to receive into.
func TestTypedNilIsAnEmptyMessage(t *testing.T) {
	c := serve(t).client()
	for _, null := range []any{(*message)(nil), (*descriptorpb.FileDescriptorProto)(nil)} {
		out := text("used")
		check(t, c.Call(bg, svc, "echo", null, out))
		equal(t, out.Value, "")
		cs := open(t, bg, c, both, "chat", nil)
		check(t, cs.SendMsg(null))
		wantNext(t, cs, "")
	}
	for _, null := range []any{(*message)(nil), (*sizedMessage)(nil), (*taggedMessage)(nil), (*vtLike)(nil)} {
		for _, in := range []string{"", "x"} {
			err := c.Call(bg, svc, "echo", text(in), null)
			if err == nil || err.Error() != fmt.Sprintf("ttrpc: cannot unmarshal into unknown type: %T", null) {
				t.Errorf("%q into a nil %T: %v", in, null, err)
			}
		}
	}
	wantEcho(t, c)
}

func TestMessagesThatFail(t *testing.T) {
	const changed = "ttrpc: message changed while it was marshaled"
	broken := errors.New("broken")
	c := serve(t, withMethod("fails", func(context.Context, func(any) error) (any, error) {
		return &sizedMessage{text: "x", fail: broken}, nil
	}),
		withMethod("lies", func(context.Context, func(any) error) (any, error) { return &sizedMessage{text: "x", lie: 1}, nil }),
		withMethod("into", func(_ context.Context, unmarshal func(any) error) (any, error) {
			return text(""), unmarshal(&sizedMessage{fail: broken})
		})).client()
	out := text("")
	wantIs(t, c.Call(bg, svc, "echo", &sizedMessage{text: "x", fail: broken}, out), broken)
	equal(t, c.Call(bg, svc, "echo", &sizedMessage{text: "x", lie: 1}, out).Error(), changed)
	wantIs(t, c.Call(bg, svc, "echo", text("x"), &sizedMessage{fail: broken}), broken)
	wantStatus(t, c.Call(bg, svc, "fails", text("x"), out), codes.Internal, "ttrpc: error marshaling payload: broken")
	wantStatus(t, c.Call(bg, svc, "lies", text("x"), out), codes.Internal, "ttrpc: error marshaling payload: "+changed)
	wantStatus(t, c.Call(bg, svc, "into", text("x"), out), codes.Internal, "ttrpc: error unmarshalling payload: broken")
	wantEcho(t, c)
}

// Required fields are asked for where a message is empty, too.
func TestRequiredFields(t *testing.T) {
	lacking := &descriptorpb.UninterpretedOption{Name: []*descriptorpb.UninterpretedOption_NamePart{{}}}
	c := serve(t).client()
	for _, m := range []proto.Message{lacking, &descriptorpb.UninterpretedOption_NamePart{}} {
		_, want := proto.Marshal(m)
		err := c.Call(bg, svc, "echo", m, text(""))
		if err == nil || err.Error() != want.Error() {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
	wantEcho(t, c)
}
