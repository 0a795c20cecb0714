package schema

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/containerd/ttrpc/internal/codec"
)

// Types resolves the types of messages in an Any, for protojson and prototext. One that no source
// has becomes a message with a single field, value, which holds the bytes: see Opaque.
type Types struct {
	find   func(protoreflect.FullName) (protoreflect.Descriptor, error)
	opaque map[string]protoreflect.MessageType // by the Any's type URL
}

// FindMessageByName returns the type of a full name.
func (t Types) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	d, err := t.find(name)
	if err != nil {
		return nil, protoregistry.NotFound
	}
	md, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, protoregistry.NotFound
	}
	return dynamicpb.NewMessageType(md), nil
}

// FindMessageByURL returns the type of an Any. containerd's have no host before the name.
func (t Types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if mt := t.opaque[url]; mt != nil {
		return mt, nil
	}
	return t.FindMessageByName(protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:]))
}

// FindExtensionByName finds nothing: extensions are shown by their numbers.
func (t Types) FindExtensionByName(protoreflect.FullName) (protoreflect.ExtensionType, error) {
	return nil, protoregistry.NotFound
}

// FindExtensionByNumber finds nothing.
func (t Types) FindExtensionByNumber(protoreflect.FullName, protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	return nil, protoregistry.NotFound
}

// Types returns the types of a set, of which more sources are asked for those that are not known.
func (s *Set) Types() Types { return Types{find: s.Find} }

// KnownTypes returns the types that are known already.
func (s *Set) KnownTypes() Types { return Types{find: s.Known} }

// Opaque returns a copy of a message in which each Any that can't be decoded holds a message with
// its bytes, and the Types with which that copy is printed.
func (t Types) Opaque(m proto.Message) (proto.Message, Types) {
	t.opaque = map[string]protoreflect.MessageType{}
	if !holdsAny(m.ProtoReflect().Descriptor(), map[protoreflect.FullName]bool{}) {
		return m, t
	}
	m = proto.Clone(m)
	t.hide(m.ProtoReflect())
	return m, t
}

const anyName = "google.protobuf.Any"

func holdsAny(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if md.FullName() == anyName {
		return true
	}
	if seen[md.FullName()] {
		return false
	}
	seen[md.FullName()] = true
	for i := range md.Fields().Len() {
		if sub := md.Fields().Get(i).Message(); sub != nil && holdsAny(sub, seen) {
			return true
		}
	}
	return false
}

func (t Types) hide(m protoreflect.Message) {
	if m.Descriptor().FullName() == anyName {
		t.hideAny(m)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap() && fd.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				t.hide(v.Message())
				return true
			})
		case fd.IsMap() || fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				t.hide(v.List().Get(i).Message())
			}
		default:
			t.hide(v.Message())
		}
		return true
	})
}

// hideAny looks into the Any's message, and puts its bytes into a field where that fails.
func (t Types) hideAny(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	urlField, valueField := fields.ByName("type_url"), fields.ByName("value")
	if urlField == nil || valueField == nil || !m.Has(urlField) {
		return
	}
	url, data := m.Get(urlField).String(), m.Get(valueField).Bytes()
	if t.opaque[url] == nil {
		if inner, ok := t.decode(url, data); ok {
			m.Set(valueField, protoreflect.ValueOfBytes(inner))
			return
		}
		t.opaque[url] = opaqueType(url)
	}
	wrapped := t.opaque[url].New()
	wrapped.Set(wrapped.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfBytes(data))
	if inner, err := proto.Marshal(wrapped.Interface()); err == nil {
		m.Set(valueField, protoreflect.ValueOfBytes(inner))
	}
}

// decode returns the bytes of an Any's message after the Anys in that have been looked into.
func (t Types) decode(url string, data []byte) ([]byte, bool) {
	mt, err := t.FindMessageByURL(url)
	if err != nil {
		return nil, false
	}
	inner := mt.New()
	if codec.Decode(data, inner.Interface()) != nil {
		return nil, false
	}
	t.hide(inner)
	data, err = proto.Marshal(inner.Interface())
	return data, err == nil
}

// opaqueType makes a message with one field of bytes, under a name of its own: that of the URL may
// be none that protobuf allows.
func opaqueType(url string) protoreflect.MessageType {
	fd := &descriptorpb.FileDescriptorProto{
		Name: proto.String(url), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Unknown"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("value"), JsonName: proto.String("value"), Number: proto.Int32(1),
				Type:  descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum(),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}
	file, err := protodesc.NewFile(fd, nil)
	if err != nil {
		panic(err) // it is a constant but for the file's name
	}
	return dynamicpb.NewMessageType(file.Messages().Get(0))
}
