package codec

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// Encoder is a message with the way to encode it. The zero value is an empty message. Nothing is
// kept of it after the call, so it lives on the stack.
type Encoder struct {
	msg  any
	size int
	kind encoding
	data []byte // of encodeDone: in msg it would cost an allocation
}

type encoding uint8

const (
	encodeNone   encoding = iota
	encodePlain           // msg is a proto.Message
	encodeDone            // data is the encoded message
	encodeFailed          // msg is the error that encoding has ended in
)

// EncoderFor finds out how m is encoded, and its size. A nil message is an error, which is
// ErrUnknownType, and a typed nil an empty message. Messages that are not plain are encoded here,
// while there is no frame yet that a panic could leave behind; whether that has failed is for
// Append to say.
func EncoderFor(m any) (Encoder, error) {
	switch m := m.(type) {
	case proto.Message:
		if isPlain(m.ProtoReflect()) {
			return Encoder{msg: m, size: proto.Size(m), kind: encodePlain}, nil
		}
		return encoderOf(proto.Marshal(m)), nil
	case protoadapt.MessageV1:
		if IsNil(m) {
			return Encoder{}, nil
		}
		return encoderOf(marshal(m)), nil
	}
	return Encoder{}, &unknownTypeError{"marshal unknown type", m}
}

// encoderOf holds what encoding has come to.
func encoderOf(b []byte, err error) Encoder {
	if err != nil {
		return Encoder{msg: err, kind: encodeFailed}
	}
	return Encoded(b)
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
	adapted, err := adapt(m, "marshal unknown type")
	if err != nil {
		return nil, err
	}
	return proto.Marshal(adapted)
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
		err = ErrSizeChanged
	}
	return b, err
}

// newBuffer returns size zero bytes, where size is what a user's method said. No message of
// protobuf's has more bytes than an int32 can count.
func newBuffer(size int) ([]byte, error) {
	if size < 0 || size > math.MaxInt32 {
		return nil, fmt.Errorf("%w: a message of %d bytes", ErrInvalidSize, size)
	}
	return make([]byte, size), nil
}

// Encoded returns the encoder of a message that is b already.
func Encoded(b []byte) Encoder { return Encoder{size: len(b), kind: encodeDone, data: b} }

// Size is how many bytes Append writes, if it does not fail.
func (e Encoder) Size() int { return e.size }

// Append encodes the message behind b, which has room for its size.
func (e Encoder) Append(b []byte) ([]byte, error) {
	if e.size == 0 {
		return b, e.check()
	}
	if e.kind == encodeDone {
		return append(b, e.data...), nil
	}
	end := len(b) + e.size
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, e.msg.(proto.Message))
	if err == nil && len(b) != end {
		err = ErrSizeChanged
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// check finds what a message of no bytes can still be wrong in: it has failed, or lacks required
// fields.
func (e Encoder) check() error {
	switch e.kind {
	case encodePlain:
		return proto.CheckInitialized(e.msg.(proto.Message))
	case encodeFailed:
		return e.msg.(error)
	}
	return nil
}
