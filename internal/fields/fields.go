// Package fields reads and writes the fields of protobuf messages, for messages that are encoded by
// hand: those of services whose .proto file another package of the program may have registered,
// since a second registration panics. Reading follows the rules of the protobuf module.
package fields

import (
	"errors"
	"iter"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	errUTF8   = errors.New("string field contains invalid UTF-8")
	errNumber = errors.New("field number out of range")
)

// Field is one field of an encoded message. It is plain data.
type Field struct {
	Number protowire.Number
	Type   protowire.Type
	Varint uint64 // of a VarintType
	Bytes  []byte // of a BytesType; they alias the message
}

// All yields the fields of b in their order, or an error that ends it. Groups and fixed values are
// yielded without a value: the messages here have none.
func All(b []byte) iter.Seq2[Field, error] {
	return func(yield func(Field, error) bool) {
		for len(b) > 0 {
			f, n := next(b)
			if n < 0 {
				yield(Field{}, protowire.ParseError(n))
				return
			}
			if f.Number > protowire.MaxValidNumber { // the other end of the range protowire checks
				yield(Field{}, errNumber)
				return
			}
			if b = b[n:]; !yield(f, nil) {
				return
			}
		}
	}
}

// next reads the first field of b and returns its length, or a negative number for an error.
func next(b []byte) (f Field, n int) {
	var tag, value int
	if f.Number, f.Type, tag = protowire.ConsumeTag(b); tag < 0 {
		return f, tag
	}
	switch b = b[tag:]; f.Type {
	case protowire.VarintType:
		f.Varint, value = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.Bytes, value = protowire.ConsumeBytes(b)
	default:
		value = protowire.ConsumeFieldValue(f.Number, f.Type, b)
	}
	if value < 0 {
		return f, value
	}
	return f, tag + value
}

// IsBytes reports whether this is the length-delimited field of a number: a string, bytes or a
// message. With another type it counts as unknown.
func (f Field) IsBytes(number protowire.Number) bool {
	return f.Number == number && f.Type == protowire.BytesType
}

// IsVarint reports whether this is the integer or enum of a number.
func (f Field) IsVarint(number protowire.Number) bool {
	return f.Number == number && f.Type == protowire.VarintType
}

// Text returns the string in a field, which has to be UTF-8.
func (f Field) Text() (string, error) {
	if !utf8.Valid(f.Bytes) {
		return "", errUTF8
	}
	return string(f.Bytes), nil
}

// AppendText appends a string field, and nothing for an empty one.
func AppendText(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return AppendBytes(b, number, s)
}

// AppendBytes appends a length-delimited field, be it empty.
func AppendBytes[T string | []byte](b []byte, number protowire.Number, value T) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return append(protowire.AppendVarint(b, uint64(len(value))), value...)
}

// AppendInt32 appends an int32 or an enum, and nothing for 0.
func AppendInt32(b []byte, number protowire.Number, v int32) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(int64(v)))
}
