//go:build go1.25

package codec

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoiface"
	"google.golang.org/protobuf/runtime/protoimpl"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/containerd/ttrpc/internal/testkit"
)

// reflected has ProtoReflect, and methods of its own behind it.
type reflected struct {
	protoreflect.Message
	sees [][]byte
}

func newReflected() *reflected { return &reflected{Message: text("").ProtoReflect()} }

func (m *reflected) ProtoReflect() protoreflect.Message   { return m }
func (m *reflected) Interface() protoreflect.ProtoMessage { return m }
func (m *reflected) ProtoMethods() *protoiface.Methods {
	return &protoiface.Methods{
		Marshal: func(in protoiface.MarshalInput) (protoiface.MarshalOutput, error) {
			if n := len(in.Buf) + 20; n <= cap(in.Buf) { // what lies there goes out
				return protoiface.MarshalOutput{Buf: in.Buf[:n]}, nil
			}
			return protoiface.MarshalOutput{Buf: append(in.Buf, make([]byte, 20)...)}, nil
		},
		Size: func(protoiface.SizeInput) protoiface.SizeOutput { return protoiface.SizeOutput{Size: 20} },
		Unmarshal: func(in protoiface.UnmarshalInput) (protoiface.UnmarshalOutput, error) {
			m.sees = append(m.sees, in.Buf)
			return protoiface.UnmarshalOutput{}, nil
		},
	}
}

// mixture is a message with ProtoReflect, one of whose fields is of an older generation.
type mixture struct {
	Held *keeper `protobuf:"bytes,1,opt,name=held"`
}

var mixtureInfo = protoimpl.MessageInfo{
	Desc:          protoimpl.X.ProtoMessageV2Of(new(plainMixture)).ProtoReflect().Descriptor(),
	GoReflectType: reflect.TypeFor[*mixture](),
}

func (m *mixture) Reset()                             { *m = mixture{} }
func (m *mixture) String() string                     { return "" }
func (*mixture) ProtoMessage()                        {}
func (m *mixture) ProtoReflect() protoreflect.Message { return mixtureInfo.MessageOf(m) }

// plainMixture is where mixture's descriptor comes from.
type plainMixture struct {
	Held *keeper `protobuf:"bytes,1,opt,name=held"`
}

func (m *plainMixture) Reset()         { *m = plainMixture{} }
func (m *plainMixture) String() string { return "" }
func (*plainMixture) ProtoMessage()    {}

// keeper is a hand-written message of gogo's time that keeps the bytes it is given, and says that
// it has written more than it has.
type keeper struct{ kept []byte }

func (m *keeper) Reset()                   { *m = keeper{} }
func (m *keeper) String() string           { return string(m.kept) }
func (*keeper) ProtoMessage()              {}
func (m *keeper) Unmarshal(b []byte) error { m.kept = b; return nil }
func (m *keeper) Marshal() ([]byte, error) { return m.kept, nil }

// tagged is like golang/protobuf's first: it has tags alone.
type tagged struct {
	Text string `protobuf:"bytes,1,opt,name=text,proto3"`
}

func (m *tagged) Reset()         { *m = tagged{} }
func (m *tagged) String() string { return m.Text }
func (*tagged) ProtoMessage()    {}

// vtLike has one of vtprotobuf's methods beside those of protobuf-go.
type vtLike struct{ *message }

func (*vtLike) UnmarshalVT([]byte) error { panic("UnmarshalVT") }

func TestPlainMessages(t *testing.T) {
	for want, list := range map[bool][]proto.Message{
		true: {
			text(""), (*message)(nil), new(spb.Status), new(anypb.Any), new(structpb.Struct), &vtLike{text("")},
			new(descriptorpb.UninterpretedOption), new(descriptorpb.GeneratedCodeInfo),
		},
		false: {
			newReflected(), new(mixture), protoadapt.MessageV2Of(new(keeper)), protoadapt.MessageV2Of(new(tagged)),
			dynamicpb.NewMessage(new(spb.Status).ProtoReflect().Descriptor()),
			new(descriptorpb.MessageOptions),      // has extensions
			new(descriptorpb.FileDescriptorProto), // can hold what has
		},
	} {
		for _, m := range list {
			for range 2 { // found, and known
				if got := isPlain(m.ProtoReflect()); got != want {
					t.Errorf("%T: plain is %t", m, got)
				}
			}
		}
	}
}

// What the protobuf module decodes by itself keeps nothing of the bytes, in any kind of field.
func TestPlainMessagesKeepNoBytes(t *testing.T) {
	full, err := structpb.NewStruct(map[string]any{"a": "text", "b": []any{"x", 1, map[string]any{"c": "d"}}})
	testkit.Check(t, err)
	unknown := protowire.AppendString(protowire.AppendTag(nil, 999, protowire.BytesType), "unknown")
	full.ProtoReflect().SetUnknown(unknown)
	for _, want := range []proto.Message{
		full, &anypb.Any{TypeUrl: "u", Value: []byte("value")},
		&spb.Status{Code: 5, Message: "m", Details: []*anypb.Any{{TypeUrl: "u", Value: []byte("v")}}},
		&descriptorpb.UninterpretedOption{
			Name:        []*descriptorpb.UninterpretedOption_NamePart{{NamePart: proto.String("n"), IsExtension: proto.Bool(true)}},
			StringValue: []byte("s"),
		},
	} {
		testkit.Equal(t, isPlain(want.ProtoReflect()), true)
		b, got := encode(want), want.ProtoReflect().New().Interface()
		testkit.Check(t, Decode(b, got))
		for i := range b {
			b[i] = 'Z'
		}
		if !proto.Equal(got, want) {
			t.Errorf("%T has changed with the bytes it was decoded from:\n%v", want, got)
		}
	}
}

// Users' methods get bytes of their own to decode, wherever in a message they are called.
func TestOwnCodeIsGivenACopy(t *testing.T) {
	hand, mixed, adapted := newReflected(), new(mixture), new(keeper)
	b := []byte("\x0a\x04kept")
	testkit.Check(t, Decode(b, hand))
	testkit.Check(t, Decode(b, mixed))
	testkit.Check(t, Decode(b, protoadapt.MessageV2Of(adapted)))
	clear(b)
	testkit.Equal(t, string(hand.sees[0]), "\x0a\x04kept")
	testkit.Equal(t, string(mixed.Held.kept), "kept")
	testkit.Equal(t, string(adapted.kept), "\x0a\x04kept")
}

// A ProtoMethods of a user's that writes nothing into the buffer it is given sends zeros.
func TestProtoMethodsThatWriteNothing(t *testing.T) {
	e, err := EncoderFor(newReflected())
	testkit.Check(t, err)
	b := bytes.Repeat([]byte("Z"), 100)
	b, err = e.Append(b[:3])
	testkit.Check(t, err)
	testkit.Equal(t, string(b), "ZZZ"+strings.Repeat("\x00", 20))
}

// A message of an older generation in one with ProtoReflect is bounded in depth like one of its
// own.
func TestDepthInMixtures(t *testing.T) {
	deep := chain(tag(2, protowire.BytesType), maxNesting)
	err := Decode(protowire.AppendBytes([]byte{1<<3 | 2}, deep), protoadapt.MessageV2Of(new(node)))
	testkit.Check(t, err) // a string
	err = Decode(deep, protoadapt.MessageV2Of(new(node)))
	if err == nil || err.Error() != recursionError().Error() {
		t.Errorf("got error %v", err)
	}
}
