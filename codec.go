package ttrpc

import (
	"fmt"
	"math"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// The codec knows messages by their methods, so that no generation of generated code has to be
// imported. In the order in which they are tried:
//
//	plain         ProtoReflect, and only the protobuf module's code works on it: see plain.go
//	protobuf      ProtoReflect otherwise: hand-written, dynamic, with fields of older kinds
//	tables        XXX_Size, XXX_Marshal, XXX_Unmarshal: gogo, early golang/protobuf
//	marshalers    Marshal, Unmarshal: first releases of gogo, hand-written messages
//	sized         Size and MarshalToSizedBuffer or MarshalTo, without Marshal
//	struct tags   ProtoMessage alone: through the adapter of the protobuf module
//
// What has ProtoReflect is encoded and decoded by the protobuf module, whatever other methods it
// has, such as vtprotobuf's. For the others it is the order of gogo's proto.Marshal and
// proto.Unmarshal.
//
// Only plain messages are written straight into a frame and read straight out of one: the protobuf
// module keeps nothing of the bytes that it decodes, and writes all that it announces. All others
// run code of their users, which may keep what it is given, or leave bytes unwritten: it gets
// zeroed memory to encode into, a copy to decode from, and nobody else uses either afterwards. It
// may nest no deeper than the protobuf module allows: see depth.go.
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

// encoder is a message with the way to encode it. Nothing is kept of it after the call, so it lives
// on the stack.
type encoder struct {
	msg  any
	size int
	kind encoding
	data []byte // of encodeOwn: in msg it would cost an allocation
}

type encoding uint8

const (
	encodeNone   encoding = iota
	encodePlain           // msg is a proto.Message
	encodeRaw             // msg is the encoded message itself, a []byte
	encodeOwn             // data is what the message's own methods have returned
	encodeFailed          // msg is the error that encoding has ended in
)

// encoderFor finds out how m is encoded, and its size. A nil message is an error, a typed nil an
// empty message. Messages that are not plain are encoded here, while there is no frame yet that a
// panic could leave behind; whether that has failed is for append to say.
func encoderFor(m any) (encoder, error) {
	switch m := m.(type) {
	case proto.Message:
		if isPlain(m.ProtoReflect()) {
			return encoder{msg: m, size: proto.Size(m), kind: encodePlain}, nil
		}
		return encoderOf(proto.Marshal(m)), nil
	case protoadapt.MessageV1:
		if isNil(m) {
			return encoder{}, nil
		}
		return encoderOf(marshal(m)), nil
	}
	return encoder{}, &unknownTypeError{"marshal unknown type", m}
}

// encoderOf holds what encoding has come to.
func encoderOf(b []byte, err error) encoder {
	if err != nil {
		return encoder{msg: err, kind: encodeFailed}
	}
	return encoder{size: len(b), kind: encodeOwn, data: b}
}

// marshal encodes a message by its own methods. What these return counts, whatever size they have
// announced, as in gogo's proto.Marshal.
func marshal(m protoadapt.MessageV1) ([]byte, error) {
	switch m := m.(type) {
	case tableMarshaler:
		b, err := newBuffer(m.XXX_Size())
		if err != nil {
			return nil, err
		}
		return m.XXX_Marshal(b[:0], false)
	case marshaler:
		return m.Marshal()
	case sizedMarshaler:
		return fill(m.Size(), m.MarshalToSizedBuffer)
	case toMarshaler:
		return fill(m.Size(), m.MarshalTo)
	}
	return proto.Marshal(protoimpl.X.ProtoMessageV2Of(m))
}

// fill has a buffer of the announced size written. A message that writes less, or says that it has
// written more, has no encoding.
func fill(size int, marshalTo func([]byte) (int, error)) ([]byte, error) {
	b, err := newBuffer(size)
	if err != nil {
		return nil, err
	}
	n, err := marshalTo(b)
	if err == nil && n != size {
		err = errSizeChanged
	}
	return b, err
}

// newBuffer returns size zero bytes, where size is what a user's method said. No message of
// protobuf's has more bytes than an int32 can count.
func newBuffer(size int) ([]byte, error) {
	if size < 0 || size > math.MaxInt32 {
		return nil, fmt.Errorf("%w: a message of %d bytes", errInvalidSize, size)
	}
	return make([]byte, size), nil
}

// append encodes the message behind b, which has room for e.size bytes.
func (e encoder) append(b []byte) ([]byte, error) {
	if e.size == 0 {
		return b, e.check()
	}
	switch e.kind {
	case encodeRaw:
		return append(b, e.msg.([]byte)...), nil
	case encodeOwn:
		return append(b, e.data...), nil
	}
	end := len(b) + e.size
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, e.msg.(proto.Message))
	if err == nil && len(b) != end {
		err = errSizeChanged
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// check finds what a message of no bytes can still be wrong in: it has failed, or lacks required
// fields.
func (e encoder) check() error {
	switch e.kind {
	case encodePlain:
		return proto.CheckInitialized(e.msg.(proto.Message))
	case encodeFailed:
		return e.msg.(error)
	}
	return nil
}

// unmarshal decodes b into m, which is reset first. Nothing of b is kept in m, nor by its methods.
func unmarshal(b []byte, m any) error {
	if isNil(m) {
		return &unknownTypeError{"unmarshal into unknown type", m}
	}
	switch m := m.(type) {
	case proto.Message:
		r := m.ProtoReflect()
		if isPlain(r) {
			return proto.Unmarshal(b, m)
		}
		b, err := private(b, goTypeOf(r, m))
		if err != nil {
			return err
		}
		return proto.Unmarshal(b, m)
	case protoadapt.MessageV1:
		b, err := private(b, reflect.TypeOf(m))
		if err != nil {
			return err
		}
		return unmarshalOld(b, m)
	}
	return &unknownTypeError{"unmarshal into unknown type", m}
}

func unmarshalOld(b []byte, m protoadapt.MessageV1) error {
	m.Reset()
	switch m := m.(type) {
	case tableUnmarshaler:
		return m.XXX_Unmarshal(b)
	case unmarshaler:
		return m.Unmarshal(b)
	}
	return proto.Unmarshal(b, protoimpl.X.ProtoMessageV2Of(m))
}

// private returns a copy of b that the methods of a message of type t may keep, or an error where b
// is nested too deep for them.
func private(b []byte, t reflect.Type) ([]byte, error) {
	if tooDeep(b, t) {
		return nil, recursionError()
	}
	return append([]byte(nil), b...), nil
}

func isNil(m any) bool {
	if m == nil {
		return true
	}
	v := reflect.ValueOf(m)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
