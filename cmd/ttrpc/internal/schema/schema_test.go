package schema

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// file returns a file with one message, M, which has a field of each type that is named.
func file(name, pkg string, types ...string) *descriptorpb.FileDescriptorProto {
	md := &descriptorpb.DescriptorProto{Name: proto.String("M")}
	for i, t := range types {
		md.Field = append(md.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String("f" + string(rune('a'+i))), Number: proto.Int32(int32(i + 1)), TypeName: proto.String(t),
			Type:  descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		})
	}
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String(name), Package: proto.String(pkg), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{md},
	}
}

func encode(t *testing.T, fd *descriptorpb.FileDescriptorProto) []byte {
	data, err := proto.Marshal(fd)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestInImage(t *testing.T) {
	a, b, gogo := file("dir/a.proto", "a"), file("b.proto", "b", ".a.M"), file("gogo.proto", "gogo")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(encode(t, gogo)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	image := bytes.Join([][]byte{
		[]byte("\x7fELF x.proto \x0a\x07no.proto \x1f\x8b\x08 not so"),
		encode(t, a), encode(t, b), // one right behind the other
		[]byte("b\x06proto3 and more"), z.Bytes(), []byte("J\x02.proto"),
	}, nil)
	found := map[string]*descriptorpb.FileDescriptorProto{}
	for _, fd := range InImage(image) {
		found[fd.GetName()] = fd
	}
	for _, want := range []*descriptorpb.FileDescriptorProto{a, b, gogo} {
		if !proto.Equal(found[want.GetName()], want) {
			t.Errorf("%s: found %v", want.GetName(), found[want.GetName()])
		}
	}
	if len(found) != 3 {
		t.Errorf("found %d files", len(found))
	}
	for n := range image { // no part of it is a trap
		InImage(image[:n])
		InImage(image[n:])
	}
}

func source(name string, files ...*descriptorpb.FileDescriptorProto) Source {
	return Source{Name: name, Load: func(context.Context) (Files, error) { return files, nil }}
}

func field(t *testing.T, s *Set, name protoreflect.FullName, field protoreflect.Name) protoreflect.MessageDescriptor {
	t.Helper()
	d, err := s.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MessageDescriptor).Fields().ByName(field).Message()
}

// The first source that has a name counts, and a later one brings what is missing.
func TestSetMerges(t *testing.T) {
	asked := 0
	last := Source{Name: "last", Load: func(context.Context) (Files, error) {
		asked++
		return Files{file("c.proto", "c")}, nil
	}}
	s := New(t.Context(), source("one", file("a.proto", "a", ".b.M", ".none.M")),
		source("two", file("b.proto", "b"), file("a.proto", "a"), file("vendored/a.proto", "a")), last)
	if _, err := s.Find("b.M"); err != nil {
		t.Error(err)
	}
	if field(t, s, "a.M", "fa") == nil {
		t.Error("a.M is not the first source's")
	}
	if asked != 0 {
		t.Error("a source was asked that was not needed")
	}
	if _, err := s.Find("c.M"); err != nil || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
}

// What a file needs may be nowhere, and files may import each other.
func TestSetTolerates(t *testing.T) {
	a, b := file("a.proto", "a", ".none.M", ".b.M"), file("b.proto", "b", ".a.M")
	a.Dependency, b.Dependency = []string{"none.proto", "b.proto"}, []string{"a.proto"}
	s := New(t.Context(), source("one", a, b))
	if md := field(t, s, "a.M", "fa"); !md.IsPlaceholder() {
		t.Errorf("%s is no placeholder", md.FullName())
	}
	if md := field(t, s, "a.M", "fb"); md.IsPlaceholder() {
		t.Error("b.M was not found")
	}
	var missing *NotFoundError
	if _, err := s.Find("none.M"); !errors.As(err, &missing) {
		t.Error(err)
	}
}

// A file that a server has made up does not stand in the way of another source's.
func TestSetPlaceholder(t *testing.T) {
	a := file("a.proto", "a", ".b.M")
	a.Dependency = []string{"b.proto"}
	madeUp := &descriptorpb.FileDescriptorProto{Name: proto.String("b.proto"), Syntax: proto.String("<unknown:0>")}
	s := New(t.Context(), source("server", a, madeUp), source("user", file("b.proto", "b")))
	if _, err := s.Find("b.M"); err != nil {
		t.Error(err)
	}
}

// A source that the user has named fails the search; another one is passed over.
func TestSetErrors(t *testing.T) {
	bad := Source{Name: "bad", Load: func(context.Context) (Files, error) { return nil, errors.New("is gone") }}
	s := New(t.Context(), bad, source("good", file("a.proto", "a")))
	if _, err := s.Find("a.M"); err != nil {
		t.Error(err)
	}
	if missing := s.NotFound("x", nil); len(missing.Asked) != 1 || len(missing.Had) != 1 {
		t.Errorf("missing: %v", missing)
	}
	bad.Required = true
	if _, err := New(t.Context(), bad, source("good", file("a.proto", "a"))).Find("a.M"); err == nil {
		t.Error("a required source has failed, and the search has not")
	}
}

// What is built in has all that it imports.
func TestBuiltin(t *testing.T) {
	s := New(t.Context(), Builtin())
	all, err := s.Services()
	if err != nil || len(all) != 4 {
		t.Fatalf("%d services, %v", len(all), err)
	}
	for _, sd := range all {
		for i := range sd.Methods().Len() {
			if md := sd.Methods().Get(i); md.Input().IsPlaceholder() || md.Output().IsPlaceholder() {
				t.Errorf("%s lacks a message", md.FullName())
			}
		}
	}
	if _, err := s.Find("containerd.events.TaskExit"); err != nil {
		t.Error(err)
	}
}

func FuzzInImage(f *testing.F) {
	f.Add([]byte("\x0a\x07a.proto\x12\x01a\x22\x03\x0a\x01Mb\x06proto3"))
	f.Fuzz(func(_ *testing.T, image []byte) { InImage(image) })
}

func TestNear(t *testing.T) {
	among := []string{
		"a.example.v1.Things", "b.example.v1.Things", "a.example.v1.GetThingsRequest", "containerd.task.v2.Task",
		"call", "list", "decode", "describe",
	}
	for meant, want := range map[string]string{
		"a.example.v1.Thing":   "[a.example.v1.Things b.example.v1.Things]",
		"a.exmple.v1.Things":   "[a.example.v1.Things b.example.v1.Things]",
		"things":               "[a.example.v1.Things b.example.v1.Things]",
		"GetThings":            "[a.example.v1.GetThingsRequest]",
		"Tesk":                 "[containerd.task.v2.Task]",
		"cal":                  "[call]",
		"lst":                  "[list]",
		"descrbe":              "[describe]",
		"a.example.v1.Nothing": "[]",
		"x":                    "[]",
		"":                     "[]",
	} {
		if got := fmt.Sprint(Near(meant, among)); got != want {
			t.Errorf("%s: got %s, want %s", meant, got, want)
		}
	}
}

// What the protobuf module panics at is shown as bytes. (Its map's key comes twice, the second time
// with another wire type, which panics for dynamic messages.)
func TestOpaquePanics(t *testing.T) {
	keyTwice := []byte("\x0a\x0e\x0a\x03key\x09\x00\x00\x00\x00\x00\x00\x00\x00")
	m := &anypb.Any{TypeUrl: "google.protobuf.Struct", Value: keyTwice}
	find := func(name protoreflect.FullName) (protoreflect.Descriptor, error) {
		return new(structpb.Struct).ProtoReflect().Descriptor(), nil
	}
	shown, _ := Types{find: find}.Opaque(m)
	got := shown.(*anypb.Any).Value
	if want := append([]byte{0x0a, byte(len(keyTwice))}, keyTwice...); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
