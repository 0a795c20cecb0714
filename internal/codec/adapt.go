package codec

import (
	"reflect"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// Structs with tags alone go through an adapter of the protobuf module. At fields that it does not
// know, such as gogo's values in place of pointers, and its times, it panics, or leaves them out.
// (Generated code of gogo that has such fields has methods as well.) Messages with these are none.

var adaptable sync.Map // of bool, by reflect.Type

// adapt returns what the protobuf module makes of m. The error is that it can't do what text says.
func adapt(m protoadapt.MessageV1, text string) (proto.Message, error) {
	t := reflect.TypeOf(m)
	ok, known := adaptable.Load(t)
	if !known {
		ok = adaptSearch{}.message(t)
		adaptable.Store(t, ok)
	}
	if !ok.(bool) {
		return nil, &unknownTypeError{text, m}
	}
	return protoimpl.X.ProtoMessageV2Of(m), nil
}

// adaptSearch has the types that have been looked at, or are being.
type adaptSearch map[reflect.Type]bool

// message reports whether the module knows all fields of t, and of the messages in them.
func (seen adaptSearch) message(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return false
	}
	if seen[t] {
		return true
	}
	seen[t] = true
	for i := range t.Elem().NumField() {
		f := t.Elem().Field(i)
		if tag, ok := f.Tag.Lookup("protobuf"); ok && (isGogos(tag) || !seen.holds(f.Type)) {
			return false
		}
	}
	return true
}

// holds reports whether the module knows fields of a type.
func (seen adaptSearch) holds(t reflect.Type) bool {
	if k := t.Kind(); k == reflect.Slice || k == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return t.Kind() != reflect.Struct
	}
	switch reflect.Zero(t).Interface().(type) {
	case proto.Message, marshaler, unmarshaler: // it has code for that
		return true
	}
	return seen.message(t)
}

// isGogos reports whether a field has an option that changes its Go type in gogo's way.
func isGogos(tag string) bool {
	for _, option := range strings.Split(tag, ",") {
		name, _, _ := strings.Cut(option, "=")
		switch name {
		case "customtype", "stdtime", "stdduration", "wktptr":
			return true
		}
	}
	return false
}
