//go:build go1.25 && unix

package ttrpc_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/descriptorpb"
)

// deepVT is a message of protobuf-go that has vtprotobuf's methods, which have no bound.
type deepVT struct{ *descriptorpb.DescriptorProto }

func newDeepVT() any { return &deepVT{new(descriptorpb.DescriptorProto)} }

func (m *deepVT) SizeVT() int                                { return 0 }
func (m *deepVT) MarshalToSizedBufferVT([]byte) (int, error) { return 0, nil }
func (m *deepVT) UnmarshalVT(b []byte) error                 { return new(deepGogo).Unmarshal(b) }

// deepGogo decodes as gogo's generated code does: a call for each level, with 1200 bytes of stack.
type deepGogo struct {
	used  byte
	Inner *deepGogo `protobuf:"bytes,3,opt,name=inner"`
	Text  string    `protobuf:"bytes,1,opt,name=text"`
}

func newDeepGogo() any { return new(deepGogo) }

func (m *deepGogo) Reset()       { *m = deepGogo{} }
func (*deepGogo) String() string { return "" }
func (*deepGogo) ProtoMessage()  {}
func (m *deepGogo) Unmarshal(b []byte) error {
	var stack [1200]byte
	stack[len(b)%len(stack)] = 1
	m.used = stack[0]
	for len(b) > 0 {
		num, _, n := protowire.ConsumeTag(b)
		if n < 0 {
			return io.ErrUnexpectedEOF
		}
		v, l := protowire.ConsumeBytes(b[n:])
		if l < 0 {
			return io.ErrUnexpectedEOF
		}
		b = b[n+l:]
		if num == 1 {
			m.Text = string(v)
			continue
		}
		m.Inner = new(deepGogo)
		if err := m.Inner.Unmarshal(v); err != nil {
			return err
		}
	}
	return nil
}

func (m *deepGogo) Size() int {
	n := 0
	if m.Text != "" {
		n = 1 + protowire.SizeBytes(len(m.Text))
	}
	if m.Inner != nil {
		n += 1 + protowire.SizeBytes(m.Inner.Size())
	}
	return n
}

func (m *deepGogo) Marshal() ([]byte, error) {
	var b []byte
	if m.Text != "" {
		b = protowire.AppendString(append(b, 1<<3|2), m.Text)
	}
	if m.Inner != nil {
		inner, _ := m.Inner.Marshal()
		b = protowire.AppendBytes(append(b, 3<<3|2), inner)
	}
	return b, nil
}

// nestedLevels returns messages in field 3, each in the one before: so many levels, the outermost
// included.
func nestedLevels(levels int) []byte {
	sizes := []int{0}
	for len(sizes) < levels {
		sizes = append(sizes, 1+protowire.SizeBytes(sizes[len(sizes)-1]))
	}
	b := make([]byte, 0, sizes[levels-1])
	for i := levels - 2; i >= 0; i-- {
		b = protowire.AppendVarint(append(b, 3<<3|2), uint64(sizes[i]))
	}
	return b
}

// The deepest message that fits in a frame ends no process, on neither side.
func TestDeepMessages(t *testing.T) {
	deepest := &keeper{nestedLevels(945_085)}
	for name, newMessage := range map[string]func() any{"protobuf-go with vtprotobuf": newDeepVT, "gogo": newDeepGogo} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, newMessage, func(any) {})
			err := c.Call(bg, "safety", "echo", deepest, new(keeper))
			if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "exceeded maximum recursion depth") {
				t.Errorf("the server: %v", err)
			}
			cs := safetyChat(t, c)
			check(t, cs.SendMsg(deepest))
			if err := cs.RecvMsg(new(keeper)); status.Code(err) != codes.Internal {
				t.Errorf("the server's stream: %v", err)
			}
			for _, levels := range []int{1, 2, 100, 10_000} {
				in, out := &keeper{nestedLevels(levels)}, new(keeper)
				check(t, c.Call(bg, "safety", "echo", in, out))
				if !bytes.Equal(in.kept, out.kept) {
					t.Errorf("%d levels come back as others", levels)
				}
			}
			c = connect(t, func() any { return new(keeper) }, func(any) {})
			for how, roundTrip := range roundTrips(t, c) {
				if err := roundTrip(deepest, newMessage()); err == nil || !strings.Contains(err.Error(), "exceeded maximum recursion depth") {
					t.Errorf("the client, %s: %v", how, err)
				}
			}
		})
	}
}

// A text that looks like groups or messages nested deeply is a text.
func TestTextsThatLookDeep(t *testing.T) {
	c := connect(t, newDeepGogo, func(any) {})
	for how, roundTrip := range roundTrips(t, c) {
		for _, text := range []string{strings.Repeat("#", 100_000), string(nestedLevels(20_000))} {
			in, out := &deepGogo{Inner: &deepGogo{Text: text}}, new(deepGogo)
			check(t, roundTrip(in, out))
			if out.Inner.Text != text {
				t.Errorf("%s: another text came back", how)
			}
		}
	}
}
