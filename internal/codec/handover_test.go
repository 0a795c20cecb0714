//go:build go1.25

package codec

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc/internal/testkit"
)

// handoverTargets are messages of every kind that has reflection.
func handoverTargets() map[string]proto.Message {
	legacy := reflectedOf(new(crowd))
	return map[string]proto.Message{
		"proto2": legacy, "proto3": reflectedOf(new(crowd3)), "dynamic": dynamicpb.NewMessage(legacy.ProtoReflect().Descriptor()),
		"BytesValue": new(wrapperspb.BytesValue), "Any": new(anypb.Any), "StringValue": new(wrapperspb.StringValue),
		"UninterpretedOption": new(descriptorpb.UninterpretedOption), "Struct": new(structpb.Struct),
	}
}

// field encodes a field that has a length.
func field(num protowire.Number, parts ...string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), strings.Join(parts, "")))
}

var (
	large         = strings.Repeat("x", 200)
	small         = field(1, "small")
	needed        = "\x50\x05" + field(13, "") // what crowd requires
	unknown       = "\xa0\x06\x01" + field(101, "unknown")
	handoverCases = []struct {
		name, b string
		into    string // what of handoverTargets it is for
		handed  bool
	}{
		{"alone", field(1, large), "BytesValue", true},
		{"between others", field(9, "a") + field(1, large) + field(9, "b"), "proto3", true},
		{"presence", needed + field(1, large), "proto2", true},
		{"required and missing", field(1, large), "proto2", true},
		{"required itself", "\x50\x05" + field(13, large), "proto2", true},
		{"dynamic", needed + field(1, large), "dynamic", true},
		{"unknown around it", unknown + needed + field(1, large) + unknown, "proto2", true},
		{"after a small one", small + field(1, large) + needed, "proto2", true},
		{"before a small one", field(1, large) + small + needed, "proto2", true},
		{"before an empty one", field(1, large) + field(1) + needed, "proto2", true},
		{"oneof", needed + field(6, large), "proto2", true},
		{"oneof after another member", needed + field(7, "s") + field(6, large), "proto2", true},
		{"oneof before another member", needed + field(6, large) + field(7, "s"), "proto2", true},
		{"in a message", needed + field(4, needed, field(1, large), needed), "proto2", true},
		{"in a message that comes before", needed + field(4, field(2, "l"), small) + field(4, needed, field(1, large)), "proto2", true},
		{"in a message that comes again", needed + field(4, needed, field(1, large)) + field(4, field(2, "l")), "proto2", true},
		{"in a message of a oneof", needed + field(8, needed, field(1, large)) + field(8, field(9, "t")), "proto2", true},
		{"in a message of a oneof, which changes", needed + field(8, needed, field(1, large)) + field(7, "s"), "proto2", true},
		{"in a message that lacks fields", needed + field(4, field(1, large)), "proto2", true},
		{"in five messages", field(4, field(4, field(4, field(4, field(4, field(1, large)))))), "proto3", false},
		{"Any", field(1, "type") + field(2, large), "Any", true},
		{"groups around it", needed + "\x2b" + small + "\x2c" + field(1, large) + "\x2b\x2c\x83\x02\x84\x02", "proto2", true},
		{"long encodings", "\x50\x85\x00" + field(13) + "\x8a\x80\x00\xc8\x81\x00" + large, "proto2", true},
		{"bad after it", needed + field(1, large) + "\x0a\x7f", "proto2", true},
		{"bad number before it", "\x00\x00" + field(1, large), "proto3", false},
		{"bad UTF-8 before it", field(9, "\xff") + field(1, large), "proto3", false},
		{"end of no group", "\x2c" + field(1, large), "proto2", false},
		{"cut", field(1, large)[:150], "proto2", false},
		{"not much more than half", field(9, large) + field(1, large), "proto3", false},
		{"a list", field(2, large) + needed, "proto2", false},
		{"a map", field(3, field(1, "k"), field(2, large)) + needed, "proto2", false},
		{"a list of messages", field(11, field(1, large), needed) + needed, "proto2", false},
		{"a string", field(9, large) + needed, "proto2", false},
		{"numbers", field(12, strings.Repeat("\x01", 200)) + needed, "proto2", false},
		{"a group", "\x2b" + field(1, large) + "\x2c" + needed, "proto2", false},
		{"a group's number", field(5, field(1, large)) + needed, "proto2", false},
		{"an unknown field", field(100, large) + needed, "proto2", false},
		{"far behind", strings.Repeat(small, maxLookedAt) + field(1, strings.Repeat(large, 3)), "BytesValue", false},
		{"StringValue", field(1, large), "StringValue", false},
	}
)

// TestHandover decodes as the protobuf module does, whether a field is handed over or not.
func TestHandover(t *testing.T) {
	for _, test := range handoverCases {
		t.Run(test.name, func(t *testing.T) {
			testkit.Equal(t, checkHandover(t, []byte(test.b), 0, handoverTargets()[test.into]), test.handed)
		})
	}
}

func FuzzHandover(f *testing.F) {
	for _, test := range handoverCases {
		f.Add([]byte(test.b), uint16(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, spare uint16) {
		for _, m := range handoverTargets() {
			checkHandover(t, b, int(spare), m)
		}
	})
}

// checkHandover decodes b both ways, into messages of into's type.
func checkHandover(t *testing.T, b []byte, spare int, into proto.Message) (handed bool) {
	t.Helper()
	b = slices.Clone(b)
	mem := &memory{cap: len(b) + spare}
	want, got := into.ProtoReflect().New().Interface(), into.ProtoReflect().New().Interface()
	got.ProtoReflect().SetUnknown([]byte(unknown)) // which decoding drops
	if panicsAt(b, want) {
		return false // what is handed over nothing but in tests
	}
	wantErr := proto.Unmarshal(b, want)
	if !handOver(mem, b, got.ProtoReflect()) {
		if mem.abandoned && wantErr == nil {
			t.Error("the memory is abandoned for nothing")
		}
		return mem.abandoned
	}
	testkit.Equal(t, textOf(wantErr), "")
	equalMessages(t, got, want)
	if part := handedOver(got.ProtoReflect(), b); part != nil {
		testkit.Equal(t, mem.abandoned, true)
		if cap(part) != len(part) || 2*len(part) <= mem.cap {
			t.Errorf("%d bytes with room for %d have a memory of %d", len(part), cap(part), mem.cap)
		}
		at := offset(part, b)
		clear(b[:at])
		clear(b[at+len(part):])
	} else {
		clear(b)
	}
	equalMessages(t, got, want)
	return mem.abandoned
}

// panicsAt reports whether the protobuf module panics, as it may at dynamic messages alone.
func panicsAt(b []byte, m proto.Message) bool {
	if _, ok := m.ProtoReflect().(generated); ok {
		return false
	}
	err := unmarshalReflected(b, m)
	return err != nil && strings.HasPrefix(err.Error(), "proto: cannot decode ")
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// equalMessages compares what is set, what is unknown, and in which order.
func equalMessages(t *testing.T, got, want proto.Message) {
	t.Helper()
	o := proto.MarshalOptions{Deterministic: true, AllowPartial: true}
	a, err := o.Marshal(got)
	b, wantErr := o.Marshal(want)
	if textOf(err) != textOf(wantErr) || !bytes.Equal(a, b) || !proto.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// Only large messages of the protobuf module's own are handed over, and what others keep is theirs.
func TestDecodeFrom(t *testing.T) {
	body := strings.Repeat("b", minHandover)
	for name, test := range map[string]struct {
		b    string
		cap  int
		into any
		want bool
	}{
		"large":                     {field(1, body), minHandover + 10, new(wrapperspb.BytesValue), true},
		"much memory for it":        {field(1, body), 2 * minHandover, new(wrapperspb.BytesValue), false},
		"small":                     {field(1, body[:minHandover-5]), minHandover, new(wrapperspb.BytesValue), false},
		"a message of gogo's time":  {field(1, body), minHandover + 10, new(keeper), false},
		"a message with extensions": {field(900, body), minHandover + 10, new(descriptorpb.MessageOptions), false},
		"with code of its own":      {field(1, body), minHandover + 10, new(mixture), false},
		"with vtprotobuf's methods": {field(1, body), minHandover + 10, &vtLike{text("")}, false},
		"dynamic": {field(1, body), minHandover + 10,
			dynamicpb.NewMessage(new(wrapperspb.BytesValue).ProtoReflect().Descriptor()), false},
	} {
		mem := &memory{cap: test.cap}
		testkit.Check(t, DecodeFrom(mem, []byte(test.b), test.into))
		if mem.abandoned != test.want {
			t.Errorf("%s: handed over is %t", name, mem.abandoned)
		}
	}
	for _, none := range []any{nil, (*message)(nil), 5} {
		if err := DecodeFrom(&memory{}, []byte(field(1, body)), none); textOf(err) != textOf(Decode([]byte(field(1, body)), none)) {
			t.Errorf("%T: got error %v", none, err)
		}
	}
}

// What is appended to the field goes elsewhere.
func TestAppendToWhatIsHandedOver(t *testing.T) {
	b := []byte(field(1, strings.Repeat("b", minHandover)) + "\x78\x05behind")
	m, mem := new(wrapperspb.BytesValue), &memory{}
	testkit.Check(t, DecodeFrom(mem, b[:len(b)-len("behind")], m))
	testkit.Equal(t, mem.abandoned, true)
	_ = append(m.Value, "appended"...)
	testkit.Equal(t, string(b[len(b)-len("behind"):]), "behind")
	testkit.Equal(t, string(m.ProtoReflect().GetUnknown()), "\x78\x05")
}
