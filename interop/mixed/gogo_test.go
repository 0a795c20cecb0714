package mixed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
	gogo "github.com/containerd/ttrpc/interop/messages/gogo"
	plain "github.com/containerd/ttrpc/interop/messages/plain"
	vt "github.com/containerd/ttrpc/interop/vt"
	"github.com/gogo/protobuf/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// rawBytes is a message of a user's that holds encoded bytes, as a proxy has them.
type rawBytes struct{ data []byte }

func (m *rawBytes) Reset()                   { m.data = nil }
func (m *rawBytes) String() string           { return string(m.data) }
func (*rawBytes) ProtoMessage()              {}
func (m *rawBytes) Unmarshal(b []byte) error { m.data = b; return nil }
func (m *rawBytes) Marshal() ([]byte, error) { return m.data, nil }

// nested returns Items in the field inner of Items: so many, the outermost included.
func nested(levels int) []byte {
	sizes := []int{0}
	for len(sizes) < levels {
		sizes = append(sizes, 1+protowire.SizeBytes(sizes[len(sizes)-1]))
	}
	b := make([]byte, 0, sizes[levels-1])
	for i := levels - 2; i >= 0; i-- {
		b = protowire.AppendVarint(append(b, 6<<3|2), uint64(sizes[i]))
	}
	return b
}

// deepForms are the forms whose generated code has no bound of its own.
var deepForms = map[string]func() any{
	"gogo":       func() any { return new(gogo.Item) },
	"tables":     func() any { return new(plain.Item) },
	"vtprotobuf": func() any { return new(vt.Item) },
}

// serveEcho registers a method that echoes messages which newMessage makes.
func serveEcho(newMessage func() any) func(*ttrpc.Server) {
	return func(s *ttrpc.Server) {
		s.RegisterService("deep", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
			"echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
				m := newMessage()
				return m, unmarshal(m)
			},
		}})
	}
}

// Real generated code is handed what is nested as deeply as the protobuf module allows, there and
// back, and no deeper.
func TestDepthOfGeneratedCode(t *testing.T) {
	for name, newMessage := range deepForms {
		t.Run(name, func(t *testing.T) {
			c := connect(t, serveEcho(newMessage))
			in, out := &rawBytes{nested(10_000)}, new(rawBytes)
			if err := c.Call(context.Background(), "deep", "echo", in, out); err != nil || !bytes.Equal(in.data, out.data) {
				t.Errorf("10,000 levels: %v, %d bytes of %d", err, len(out.data), len(in.data))
			}
			for _, levels := range []int{10_001, 945_085} {
				err := c.Call(context.Background(), "deep", "echo", &rawBytes{nested(levels)}, out)
				if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "exceeded maximum recursion depth") {
					t.Errorf("%d levels: %v", levels, err)
				}
			}
		})
	}
}

// Texts and bytes that look like nested messages are taken, at any depth of them.
func TestContentOfGeneratedCode(t *testing.T) {
	for name, newMessage := range deepForms {
		if name == "vtprotobuf" {
			continue // the protobuf module's code, which needs no help
		}
		c := connect(t, serveEcho(newMessage))
		for _, num := range []protowire.Number{1, 2, 4, 9, 100} {
			for _, content := range [][]byte{nested(20_000), []byte(strings.Repeat("#", 50_000))} {
				if num != 2 && content[0] != '#' {
					content = []byte(strings.Repeat("3", 50_000)) // proto3 texts are UTF-8
				}
				in := &rawBytes{protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), content)}
				if err := c.Call(context.Background(), "deep", "echo", in, new(rawBytes)); err != nil {
					t.Errorf("%s, field %d: %v", name, num, err)
				}
			}
		}
	}
}

// odd is written by hand, with the methods of table-driven code.
type odd struct {
	rawBytes
	size  int
	write func(b []byte) ([]byte, error)
}

func (m *odd) XXX_Size() int                                { return m.size }
func (m *odd) XXX_Marshal(b []byte, _ bool) ([]byte, error) { return m.write(b) }

// marshaled is what gogo's proto.Marshal makes of m, which is the codec of releases up to v1.1.2.
func marshaled(m proto.Message) (b []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return proto.Marshal(m)
}

// Messages whose methods do not keep to their contract go out as they do with v1.1.2; where that
// panics, it is an error.
func TestOddMessagesLikeGogo(t *testing.T) {
	broken := errors.New("broken")
	write := func(s string, err error) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return append(b, s...), err }
	}
	c := connect(t, serveEcho(func() any { return new(rawBytes) }))
	for name, m := range map[string]proto.Message{
		"as announced":    &odd{size: 3, write: write("abc", nil)},
		"less":            &odd{size: 9, write: write("abc", nil)},
		"more":            &odd{size: 1, write: write("abc", nil)},
		"zero":            &odd{size: 0, write: write("abc", nil)},
		"negative":        &odd{size: -1, write: write("abc", nil)},
		"nothing written": &odd{size: 5, write: func(b []byte) ([]byte, error) { return b[:cap(b)], nil }},
		"another slice":   &odd{size: 5, write: func([]byte) ([]byte, error) { return []byte("other"), nil }},
		"none":            &odd{size: 5, write: func([]byte) ([]byte, error) { return nil, nil }},
		"error":           &odd{size: 3, write: write("abc", broken)},
		"raw":             &rawBytes{[]byte("raw")},
		"empty":           &rawBytes{},
	} {
		want, wantErr := marshaled(m)
		out := new(rawBytes)
		err := c.Call(context.Background(), "deep", "echo", m, out)
		if (err != nil) != (wantErr != nil) || !bytes.Equal(out.data, want) && err == nil {
			t.Errorf("%s: got %q, %v, gogo makes %q, %v", name, out.data, err, want, wantErr)
		}
	}
}

// vtprotobuf's methods fail or panic at these; the protobuf module takes them.
func TestVTOddities(t *testing.T) {
	c := connect(t, serveEcho(func() any { return new(vt.Item) }))
	wrongType := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "number is no text")
	out := new(rawBytes)
	if err := c.Call(context.Background(), "deep", "echo", &rawBytes{wrongType}, out); err != nil || !bytes.Equal(out.data, wrongType) {
		t.Errorf("a field of another wire type: %q, %v", out.data, err)
	}
	got := new(vt.Item)
	nilWrapper := &vt.Item{Text: "t", Choice: (*vt.Item_Name)(nil)}
	if err := c.Call(context.Background(), "deep", "echo", nilWrapper, got); err != nil || got.Text != "t" {
		t.Errorf("a nil wrapper in a oneof: %v, %v", got, err)
	}
	invalid := "\xff\xfe"
	if err := c.Call(context.Background(), "deep", "echo", &vt.Item{Text: invalid}, new(rawBytes)); err == nil {
		t.Error("text that is not UTF-8 is sent")
	}
	raw := &rawBytes{protowire.AppendString([]byte{1<<3 | 2}, invalid)}
	if err := c.Call(context.Background(), "deep", "echo", raw, new(rawBytes)); status.Code(err) != codes.Internal {
		t.Errorf("text that is not UTF-8 is taken: %v", err)
	}
}
