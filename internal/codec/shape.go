package codec

import (
	"reflect"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
)

// shape is what a Go type says of how deep its messages can nest: which fields are messages. It is
// taken from the tags that generated code of all generations has on the fields of its structs.
type shape struct {
	// The type tells: it has tags, or a part that decodes the same bytes has, or it has no field.
	known  bool
	fields map[int32]*shape // those that are messages or groups, by number
	small  [16]*shape       // the same for small numbers
	parts  []*shape         // other messages in it, without a tag: they may decode the same bytes
}

// field returns the shape of a field's messages: nil for one that holds none that tell of
// themselves.
func (s *shape) field(num int32) *shape {
	var f *shape
	switch {
	case s == nil:
		return nil
	case num >= 0 && int(num) < len(s.small):
		f = s.small[num]
	default:
		f = s.fields[num]
	}
	if f == nil || !f.known {
		return nil
	}
	return f
}

func (s *shape) set(num int32, f *shape) {
	if s.fields == nil {
		s.fields = make(map[int32]*shape)
	}
	s.fields[num] = f
	if num >= 0 && int(num) < len(s.small) {
		s.small[num] = f
	}
}

var shapes sync.Map // of *shape, by reflect.Type

// shapeOf returns the shape of a message's type, nil if it tells nothing of itself.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	g := shapeGraph{}
	s := g.message(t)
	g.join()
	if s != nil && !s.known {
		s = nil
	}
	shapes.Store(t, s)
	return s
}

// shapeGraph has the shapes of all types that a message's type leads to.
type shapeGraph map[reflect.Type]*shape

// message returns the shape of the struct that t is, or points to, or is a list of; nil if there is
// none.
func (g shapeGraph) message(t reflect.Type) *shape {
	for range 3 { // the opaque API has *[]*Message
		if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	if s, ok := g[t]; ok {
		return s
	}
	s := &shape{known: isEmpty(t)}
	g[t] = s
	for i := range t.NumField() {
		g.addField(s, t.Field(i))
	}
	for _, wrapper := range oneofWrappers(reflect.New(t).Interface()) {
		g.addWrapped(s, reflect.TypeOf(wrapper))
	}
	return s
}

// isEmpty reports whether a struct has no fields but those that generators add.
func isEmpty(t reflect.Type) bool {
	for i := range t.NumField() {
		if name := t.Field(i).Name; name != "_" && !strings.HasPrefix(name, "XXX_") {
			return false
		}
	}
	return true
}

// addWrapped adds the field of a oneof, which stands alone in a struct.
func (g shapeGraph) addWrapped(s *shape, w reflect.Type) {
	if w.Kind() == reflect.Pointer && w.Elem().Kind() == reflect.Struct && w.Elem().NumField() > 0 {
		g.addField(s, w.Elem().Field(0))
	}
}

func (g shapeGraph) addField(s *shape, f reflect.StructField) {
	tag := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(tag) < 2 {
		if f.Tag.Get("protobuf_oneof") != "" {
			s.known = true
		} else if decodes(f.Type) {
			g.addPart(s, f.Type)
		}
		return
	}
	s.known = true
	num, err := strconv.ParseInt(tag[1], 10, 32)
	if err != nil || tag[0] != "bytes" && tag[0] != "group" {
		return
	}
	held := g.message(f.Type)
	if f.Type.Kind() == reflect.Map {
		held = &shape{known: true}
		if value := g.message(f.Type.Elem()); value != nil {
			held.set(2, value)
		}
	}
	if held != nil {
		s.set(int32(num), held)
	}
}

func (g shapeGraph) addPart(s *shape, t reflect.Type) {
	if part := g.message(t); part != nil {
		s.parts = append(s.parts, part)
	}
}

// decodes reports whether t, or a pointer to it, has a method that decodes.
func decodes(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	switch reflect.Zero(t).Interface().(type) {
	case unmarshaler, tableUnmarshaler, proto.Message:
		return true
	}
	return false
}

// join gives every shape the fields of its parts, and of theirs.
func (g shapeGraph) join() {
	for changed := true; changed; {
		changed = false
		for _, s := range g {
			for _, part := range s.parts {
				changed = s.add(part) || changed
			}
		}
	}
}

func (s *shape) add(part *shape) (changed bool) {
	if part.known && !s.known {
		s.known, changed = true, true
	}
	for num, f := range part.fields {
		if s.fields[num] == nil {
			s.set(num, f)
			changed = true
		}
	}
	return changed
}

// oneofWrappers returns a pointer of each type that a oneof of m wraps its fields in. The method of
// a type that embeds another's may panic where that is nil.
func oneofWrappers(m any) (wrappers []any) {
	defer func() { _ = recover() }()
	switch m := m.(type) {
	case interface{ XXX_OneofWrappers() []any }:
		return m.XXX_OneofWrappers()
	case proto.Message:
		if g, ok := m.ProtoReflect().(generated); ok {
			return g.ProtoMessageInfo().OneofWrappers
		}
	}
	if funcs := reflect.ValueOf(m).MethodByName("XXX_OneofFuncs"); funcs.IsValid() && funcs.Type().NumIn() == 0 {
		results := funcs.Call(nil)
		wrappers, _ = results[len(results)-1].Interface().([]any)
	}
	return wrappers
}
