package codec

import (
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// The protobuf module refuses messages that are nested deeper than 10,000 levels. Code of gogo and
// its time calls itself for each level without a bound, until Go's stack limit ends the process,
// which nothing recovers. So what is decoded by such code is looked through first.
//
// What counts is the nesting that the message's own type can follow (see shape.go): fields that it
// declares as messages or groups, and groups that it does not know, since older releases of gogo
// skip these recursively. Strings, bytes and unknown fields are not looked into, whatever they look
// like: no message is refused for its content. A field of a type that tells nothing of itself is
// the code of its author, in whose hands its depth is.
const (
	maxNesting = protowire.DefaultRecursionLimit // levels, the outermost included

	// minDeep is the size of the smallest message that is nested too deep: so many starts of
	// groups, a byte each. (Of messages in fields it takes 34 KB: a tag, and a length of one to
	// three bytes.)
	minDeep = maxNesting
)

// recursionError is the protobuf module's own error for messages that are nested too deep.
func recursionError() error {
	return proto.UnmarshalOptions{RecursionLimit: -1}.Unmarshal(nil, new(anypb.Any))
}

// tooDeep reports whether to decode b into a message of type t would go deeper than maxNesting.
func tooDeep(b []byte, t reflect.Type) bool {
	if len(b) < minDeep {
		return false
	}
	s := shapeOf(t)
	return s != nil && nestsDeeper(b, s, maxNesting)
}

// level is a message, or a group, that is being read.
type level struct {
	end   int    // of its bytes; of a group, of the message around it
	shape *shape // nil for a group that is not known
	group bool
}

// nestsDeeper reads b as a decoder would that knows s, each byte once. Where a message is malformed
// it goes on behind that message: a decoder may or may not.
func nestsDeeper(b []byte, s *shape, limit int) bool {
	levels := append(make([]level, 0, 32), level{end: len(b), shape: s})
	for pos := 0; len(levels) > 0; {
		top := levels[len(levels)-1]
		if pos >= top.end {
			levels = levels[:len(levels)-1]
			continue
		}
		f, ok := readField(b[:top.end], pos)
		pos = f.next
		switch {
		case !ok || f.typ == protowire.EndGroupType && !top.group:
			pos = top.end
		case f.typ == protowire.EndGroupType:
			levels = levels[:len(levels)-1]
		case f.typ == protowire.StartGroupType:
			levels = append(levels, level{top.end, top.shape.field(f.num), true})
		case f.typ == protowire.BytesType:
			if held := top.shape.field(f.num); held != nil {
				levels = append(levels, level{f.next, held, false})
				pos = f.body
			}
		}
		if len(levels) > limit {
			return true
		}
	}
	return false
}

// wireField is where a field lies in a message.
type wireField struct {
	num int32
	typ protowire.Type
	// Where its bytes begin, and where the next field does; the same for a group's start and end.
	body, next int
}

// readField reads the field that begins at pos. It takes every varint that some generated code
// takes, and cuts it as that does: to ten bytes, a field's number to 32 bits, a length to an int.
func readField(b []byte, pos int) (f wireField, ok bool) {
	tag, pos := readVarint(b, pos)
	f.num, f.typ = int32(tag>>3), protowire.Type(tag&7)
	length := 0
	switch f.typ {
	case protowire.StartGroupType, protowire.EndGroupType:
	case protowire.VarintType:
		_, pos = readVarint(b, pos)
	case protowire.Fixed32Type:
		length = 4
	case protowire.Fixed64Type:
		length = 8
	case protowire.BytesType:
		var v uint64
		v, pos = readVarint(b, pos)
		length = int(v)
	default:
		return f, false
	}
	if length < 0 || length > len(b)-pos {
		return f, false
	}
	f.body, f.next = pos, pos+length
	return f, true
}

// readVarint returns a varint and where it ends, which is behind b if it is malformed.
func readVarint(b []byte, pos int) (v uint64, end int) {
	for shift := 0; shift < 64 && pos < len(b); shift += 7 {
		c := b[pos]
		pos++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, pos
		}
	}
	return 0, len(b) + 1
}
