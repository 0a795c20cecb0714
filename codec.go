package ttrpc

import (
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// The codec knows messages by their methods, so that no generation of generated code has to be imported.
// In the order in which they are tried:
//
//	vtprotobuf       SizeVT, MarshalToSizedBufferVT, UnmarshalVT beside ProtoReflect
//	protobuf-go      ProtoReflect
//	gogo             Size and MarshalToSizedBuffer or MarshalTo, Unmarshal
//	golang/protobuf  XXX_Size, XXX_Marshal, XXX_Unmarshal: the table-driven code of gogo and of the years before protobuf-go
//	struct tags      ProtoMessage alone: through the adapter of the protobuf module
type (
	vtMessage interface {
		SizeVT() int
		MarshalToSizedBufferVT(b []byte) (int, error)
		UnmarshalVT(b []byte) error
	}
	sizedMarshaler interface {
		Size() int
		MarshalToSizedBuffer(b []byte) (int, error)
	}
	toMarshaler interface {
		Size() int
		MarshalTo(b []byte) (int, error)
	}
	unmarshaler interface {
		protoadapt.MessageV1
		Unmarshal(b []byte) error
	}
	tableMessage interface {
		protoadapt.MessageV1
		XXX_Size() int
		XXX_Marshal(b []byte, deterministic bool) ([]byte, error)
		XXX_Unmarshal(b []byte) error
	}
)

// encoder is a message with the way to encode it. Nothing is kept of it after the call, so it lives on the stack.
type encoder struct {
	msg  any
	size int
	kind encoding
}

type encoding uint8

const (
	encodeNone encoding = iota
	encodeVT
	encodeProto
	encodeSized
	encodeTo
	encodeTable
	encodeLegacy
	encodeRaw // the encoded message itself
)

// encoderFor finds out how m is encoded, and its size. A nil message is an error, a typed nil an empty message.
func encoderFor(m any) (encoder, error) {
	switch m := m.(type) {
	case proto.Message:
		if vt, ok := m.(vtMessage); ok && m.ProtoReflect().IsValid() {
			return encoder{m, vt.SizeVT(), encodeVT}, nil
		}
		return encoder{m, proto.Size(m), encodeProto}, nil
	case protoadapt.MessageV1:
		return oldEncoder(m)
	}
	return encoder{}, &unknownTypeError{"marshal unknown type", m}
}

func oldEncoder(m protoadapt.MessageV1) (encoder, error) {
	switch m := m.(type) {
	case sizedMarshaler:
		return encoder{m, m.Size(), encodeSized}, nil
	case toMarshaler:
		return encoder{m, m.Size(), encodeTo}, nil
	case tableMessage:
		return encoder{m, m.XXX_Size(), encodeTable}, nil
	}
	v2 := protoimpl.X.ProtoMessageV2Of(m)
	return encoder{v2, proto.Size(v2), encodeLegacy}, nil
}

// append encodes the message behind b, which has room for e.size bytes.
func (e encoder) append(b []byte) ([]byte, error) {
	if e.size == 0 {
		return b, e.check()
	}
	start, end := len(b), len(b)+e.size
	var n int
	var err error
	switch e.kind {
	case encodeVT:
		n, err = e.msg.(vtMessage).MarshalToSizedBufferVT(b[start:end:end])
	case encodeSized:
		n, err = e.msg.(sizedMarshaler).MarshalToSizedBuffer(b[start:end:end])
	case encodeTo:
		n, err = e.msg.(toMarshaler).MarshalTo(b[start:end:end])
	case encodeTable:
		b, err = e.msg.(tableMessage).XXX_Marshal(b, false)
		n = len(b) - start
	case encodeRaw:
		return append(b, e.msg.([]byte)...), nil
	default:
		b, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, e.msg.(proto.Message))
		n = len(b) - start
	}
	if err == nil && n != e.size {
		err = errSizeChanged
	}
	if err != nil {
		return nil, err
	}
	return b[:end], nil
}

// check finds what an empty message can still be wrong in: required fields.
func (e encoder) check() error {
	if m, ok := e.msg.(proto.Message); ok {
		return proto.CheckInitialized(m)
	}
	return nil
}

// unmarshal decodes b into m, which is reset first. Nothing of b is kept in m.
func unmarshal(b []byte, m any) error {
	if isNil(m) {
		return &unknownTypeError{"unmarshal into unknown type", m}
	}
	switch m := m.(type) {
	case proto.Message:
		if vt, ok := m.(vtMessage); ok {
			proto.Reset(m)
			return vt.UnmarshalVT(b)
		}
		return proto.Unmarshal(b, m)
	case unmarshaler:
		m.Reset()
		return m.Unmarshal(b)
	case tableMessage:
		m.Reset()
		return m.XXX_Unmarshal(b)
	case protoadapt.MessageV1:
		return proto.Unmarshal(b, protoimpl.X.ProtoMessageV2Of(m))
	}
	return &unknownTypeError{"unmarshal into unknown type", m}
}

func isNil(m any) bool {
	if m == nil {
		return true
	}
	v := reflect.ValueOf(m)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
