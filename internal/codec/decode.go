package codec

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// Decode decodes b into m, which is reset first. Nothing of b is kept in m, nor by its methods.
func Decode(b []byte, m any) error {
	if IsNil(m) {
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
		if _, ok := r.(generated); !ok {
			return unmarshalReflected(b, m)
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

// unmarshalReflected decodes b into a message of no generated type, as those of package dynamicpb.
// The protobuf module sets its fields by reflection, and panics where an entry of a map has its key
// twice, the second time with another wire type: a peer could end the process so.
func unmarshalReflected(b []byte, m proto.Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("proto: cannot decode %s: %v", m.ProtoReflect().Descriptor().FullName(), v)
		}
	}()
	return proto.Unmarshal(b, m)
}

func unmarshalOld(b []byte, m protoadapt.MessageV1) error {
	m.Reset()
	switch m := m.(type) {
	case tableUnmarshaler:
		return m.XXX_Unmarshal(b)
	case unmarshaler:
		return m.Unmarshal(b)
	}
	adapted, err := adapt(m, "unmarshal into unknown type")
	if err != nil {
		return err
	}
	return proto.Unmarshal(b, adapted)
}

// private returns a copy of b that the methods of a message of type t may keep, or an error where b
// is nested too deep for them.
func private(b []byte, t reflect.Type) ([]byte, error) {
	if tooDeep(b, t) {
		return nil, recursionError()
	}
	return append([]byte(nil), b...), nil
}
