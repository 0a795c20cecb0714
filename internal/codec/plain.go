package codec

import (
	"reflect"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// A message is plain if the protobuf module encodes and decodes it, and all that it can hold, by
// its own code alone. Generated messages are, unless a field's Go type, which a generator's option
// may choose, is of an older generation, whose Marshal and Unmarshal the module then calls, or
// hand-written. Extensions are found in a registry while a message is decoded and may be of any
// type: a message that can have some is not plain.
//
// Of plain messages the module copies each string, each bytes field and unknown fields; lazily
// decoded messages (of the opaque API) keep a copy of their bytes.

// generated is implemented by the reflection of messages that have a MessageInfo. The protobuf
// module makes no promise for this method: without it no message is plain, and all are copied.
type generated interface {
	ProtoMessageInfo() *protoimpl.MessageInfo
}

var plainMessages sync.Map // of bool, by *protoimpl.MessageInfo

func isPlain(m protoreflect.Message) bool {
	g, ok := m.(generated)
	if !ok {
		return false
	}
	info := g.ProtoMessageInfo()
	if plain, ok := plainMessages.Load(info); ok {
		return plain.(bool)
	}
	plain := findPlain(info)
	plainMessages.Store(info, plain)
	return plain
}

// findPlain looks at everything that a message can hold. A hand-made type at which the protobuf
// module panics is not plain.
func findPlain(info *protoimpl.MessageInfo) (plain bool) {
	defer func() {
		if recover() != nil {
			plain = false
		}
	}()
	return plainSearch{}.message(info.New())
}

// plainSearch has the messages that have been looked at, or are being.
type plainSearch map[*protoimpl.MessageInfo]bool

func (seen plainSearch) message(m protoreflect.Message) bool {
	g, ok := m.(generated)
	if !ok {
		return false
	}
	info := g.ProtoMessageInfo()
	if seen[info] {
		return true
	}
	seen[info] = true
	return !hasOwnCode(info.GoReflectType) && info.Desc.ExtensionRanges().Len() == 0 && seen.fields(m)
}

func (seen plainSearch) fields(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if held := heldMessage(m, fields.Get(i)); held != nil && !seen.message(held) {
			return false
		}
	}
	return true
}

// heldMessage returns a message as the field would hold it, nil where that is none.
func heldMessage(m protoreflect.Message, field protoreflect.FieldDescriptor) protoreflect.Message {
	switch {
	case field.IsMap():
		if field.MapValue().Message() == nil {
			return nil
		}
		return m.NewField(field).Map().NewValue().Message()
	case field.Message() == nil:
		return nil
	case field.IsList():
		return m.NewField(field).List().NewElement().Message()
	}
	return m.NewField(field).Message()
}

// hasOwnCode reports whether the protobuf module would call methods of t, a pointer to a struct, to
// encode or decode it.
func hasOwnCode(t reflect.Type) bool {
	switch m := reflect.Zero(t).Interface().(type) {
	case marshaler, unmarshaler:
		return true
	default:
		_, ok := m.(proto.Message)
		return !ok
	}
}

// goTypeOf returns the type of the struct that is behind m: the module's adapter has another type
// than what it adapts.
func goTypeOf(r protoreflect.Message, m proto.Message) reflect.Type {
	if g, ok := r.(generated); ok {
		return g.ProtoMessageInfo().GoReflectType
	}
	return reflect.TypeOf(m)
}
