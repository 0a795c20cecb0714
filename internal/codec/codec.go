// Package codec turns users' messages of any generation of generated code into bytes and back. It
// knows neither frames nor calls.
//
// It knows messages by their methods, so that no generation has to be imported. In the order in
// which they are tried:
//
//	plain         ProtoReflect, and only the protobuf module's code works on it: see plain.go
//	protobuf      ProtoReflect otherwise: hand-written, dynamic, with fields of older kinds
//	tables        XXX_Size, XXX_Marshal, XXX_Unmarshal: gogo, early golang/protobuf
//	marshalers    Marshal, Unmarshal: first releases of gogo, hand-written messages
//	sized         Size and MarshalToSizedBuffer or MarshalTo, without Marshal
//	struct tags   ProtoMessage alone: through the adapter of the protobuf module, see adapt.go
//
// What has ProtoReflect is encoded and decoded by the protobuf module, whatever other methods it
// has, such as vtprotobuf's. For the others it is the order of gogo's proto.Marshal and
// proto.Unmarshal.
//
// Only plain messages are written straight into a frame and read straight out of one: the protobuf
// module keeps nothing of the bytes that it decodes, and writes all that it announces. What keeps
// something is DecodeFrom: a large bytes field of a plain message (see handover.go). All others
// run code of their users, which may keep what it is given, or leave bytes unwritten: it gets
// zeroed memory to encode into, a copy to decode from, and nobody else uses either afterwards. It
// may nest no deeper than the protobuf module allows: see depth.go.
package codec

import (
	"errors"
	"fmt"
	"reflect"
)

var (
	// ErrUnknownType is what errors.Is finds for a value that is no message.
	ErrUnknownType = errors.New("not a message")
	// ErrInvalidSize is wrapped where a message's method announces a size that no message has.
	ErrInvalidSize = errors.New("ttrpc: size out of range")
	// ErrSizeChanged is returned for a message that has written less, or more, than it announced.
	ErrSizeChanged = errors.New("ttrpc: message changed while it was marshaled")
)

// The methods by which messages are known, beside those of [proto.Message] and
// [protoadapt.MessageV1].
type (
	tableMarshaler interface {
		XXX_Size() int
		XXX_Marshal(b []byte, deterministic bool) ([]byte, error)
	}
	marshaler      interface{ Marshal() ([]byte, error) }
	sizedMarshaler interface {
		Size() int
		MarshalToSizedBuffer(b []byte) (int, error)
	}
	toMarshaler interface {
		Size() int
		MarshalTo(b []byte) (int, error)
	}
	tableUnmarshaler interface{ XXX_Unmarshal(b []byte) error }
	unmarshaler      interface{ Unmarshal(b []byte) error }
)

// unknownTypeError is for values that are no messages.
type unknownTypeError struct {
	text string
	msg  any
}

// Error says which type was no message.
func (e *unknownTypeError) Error() string { return fmt.Sprintf("ttrpc: cannot %s: %T", e.text, e.msg) }

// Is tells these errors from a message's own failure.
func (e *unknownTypeError) Is(t error) bool { return t == ErrUnknownType }

// IsNil reports whether v is nil, or a pointer that is.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
