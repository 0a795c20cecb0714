//go:build go1.25

package codec

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc/internal/testkit"
)

// node has every place where generated code of gogo's time puts a message.
type node struct {
	Name   string           `protobuf:"bytes,1,opt,name=name"`
	Next   *node            `protobuf:"bytes,2,opt,name=next"`
	List   []*node          `protobuf:"bytes,3,rep,name=list"`
	Map    map[string]*node `protobuf:"bytes,4,rep,name=map" protobuf_key:"bytes,1,opt,name=key" protobuf_val:"bytes,2,opt,name=value"`
	Group  *node            `protobuf:"group,5,opt,name=Group"`
	Choice isChoice         `protobuf_oneof:"choice"`
	Values []node           `protobuf:"bytes,8,rep,name=values"`
	Custom *nodeHolder      `protobuf:"bytes,9,opt,name=custom,customtype=nodeHolder"`
	Raw    *rawHolder       `protobuf:"bytes,10,opt,name=raw,customtype=rawHolder"`
	Blob   []byte           `protobuf:"bytes,11,opt,name=blob"`
	Far    *node            `protobuf:"bytes,1000,opt,name=far"`
}

type isChoice interface{ isChoice() }

type choiceNode struct {
	Node *node `protobuf:"bytes,7,opt,name=node,oneof"`
}

func (*choiceNode) isChoice()              {}
func (*node) XXX_OneofWrappers() []any     { return []any{(*choiceNode)(nil)} }
func (*node) Reset()                       {}
func (*node) String() string               { return "" }
func (*node) ProtoMessage()                {}
func (*node) Unmarshal([]byte) error       { return nil }
func (*nodeHolder) Unmarshal([]byte) error { return nil }
func (*rawHolder) Unmarshal([]byte) error  { return nil }

// nodeHolder has no tags, but a part that has; rawHolder tells nothing of itself.
type (
	nodeHolder struct{ Inner *node }
	rawHolder  struct{ Inner []byte }
	embedding  struct{ *node }
	fieldless  struct{ XXX_unrecognized []byte }
)

// funcsNode has the oneof's types as golang/protobuf 1.2 told them.
type funcsNode struct {
	Choice isChoice `protobuf_oneof:"choice"`
}

func (*funcsNode) XXX_OneofFuncs() (func(), func(), []any) {
	return nil, nil, []any{(*choiceNode)(nil)}
}

// chain returns a message in a field of a message in a field, and so on: so many fields.
func chain(tag uint64, fields int) []byte {
	size := []int{0}
	for len(size) <= fields {
		size = append(size, protowire.SizeVarint(tag)+protowire.SizeBytes(size[len(size)-1]))
	}
	b := make([]byte, 0, size[fields])
	for i := fields - 1; i >= 0; i-- {
		b = protowire.AppendVarint(protowire.AppendVarint(b, tag), uint64(size[i]))
	}
	return b
}

func tag(num protowire.Number, typ protowire.Type) uint64 { return protowire.EncodeTag(num, typ) }

// What a type's messages can be nested in counts, to the level at which the protobuf module refuses
// it.
func TestDepthOfFields(t *testing.T) {
	for name, field := range map[string]uint64{
		"pointer": tag(2, protowire.BytesType), "list": tag(3, protowire.BytesType), "oneof": tag(7, protowire.BytesType),
		"values": tag(8, protowire.BytesType), "customtype": tag(9, protowire.BytesType), "large number": tag(1000, protowire.BytesType),
		"number cut to 32 bits": tag(2, protowire.BytesType) | 1<<35,
	} {
		for _, into := range []any{new(node), new(nodeHolder), new(embedding)} {
			if tooDeep(chain(field, maxNesting-1), reflect.TypeOf(into)) {
				t.Errorf("%T, %s: %d levels are refused", into, name, maxNesting)
			}
			if !tooDeep(chain(field, maxNesting), reflect.TypeOf(into)) {
				t.Errorf("%T, %s: %d levels are taken", into, name, maxNesting+1)
			}
		}
	}
	if !tooDeep(protowire.AppendBytes([]byte{7<<3 | 2}, chain(tag(2, protowire.BytesType), maxNesting)), reflect.TypeFor[*funcsNode]()) {
		t.Error("a oneof as golang/protobuf 1.2 had it is taken")
	}
}

func TestDepthOfMapsAndGroups(t *testing.T) {
	entries := chain(tag(2, protowire.BytesType), 1)
	for range maxNesting {
		entries = protowire.AppendBytes([]byte{2<<3 | 2}, entries) // the value in an entry
		entries = protowire.AppendBytes([]byte{4<<3 | 2}, entries) // the entry
		if len(entries) > minDeep {
			break
		}
	}
	if !nestsDeeper(entries, shapeOf(reflect.TypeFor[*node]()), 100) {
		t.Error("maps are not followed")
	}
	for name, start := range map[string]string{"known group": "\x2b", "unknown group": "\xab\x06", "group 0": "\x03"} {
		for _, into := range []any{new(node), new(fieldless)} {
			b := strings.Repeat(start, maxNesting-1) + strings.Repeat("\x08\x01", maxNesting)
			if tooDeep([]byte(b), reflect.TypeOf(into)) {
				t.Errorf("%s in %T: %d levels are refused", name, into, maxNesting)
			}
			if !tooDeep([]byte(start+b), reflect.TypeOf(into)) {
				t.Errorf("%s in %T: %d levels are taken", name, into, maxNesting+1)
			}
		}
	}
	side := strings.Repeat("\x2b\x2c", maxNesting+1)
	if tooDeep([]byte(side), reflect.TypeFor[*node]()) {
		t.Error("groups beside each other are refused")
	}
}

// No content is refused, whatever it looks like: strings, bytes, unknown fields, types that tell
// nothing.
func TestContentIsNotDepth(t *testing.T) {
	deep := chain(tag(2, protowire.BytesType), 2*maxNesting)
	groups := []byte(strings.Repeat("#", 20*maxNesting))
	for _, content := range [][]byte{deep, groups} {
		for _, num := range []protowire.Number{1, 10, 11, 12} {
			b := protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), content)
			for range 5 {
				if tooDeep(b, reflect.TypeFor[*node]()) {
					t.Errorf("field %d is refused for its content", num)
				}
				b = protowire.AppendBytes([]byte{2<<3 | 2}, b)
			}
		}
		for _, into := range []any{new(rawHolder), new(struct{ inner []byte }), 5, new([]byte)} {
			if tooDeep(content, reflect.TypeOf(into)) {
				t.Errorf("content of a %T is refused", into)
			}
		}
	}
}

// A decoder may go on behind what is malformed, so depth is looked for behind it as well.
func TestDepthBehindMalformedFields(t *testing.T) {
	deep := chain(tag(2, protowire.BytesType), maxNesting)
	for name, bad := range map[string]string{
		"length": "\x0a\x7f", "varint": "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "cut varint": "\x08\x80", "type": "\x0e",
		"end of no group": "\x2c", "open group": "\x2b\x2b", "fixed32": "\x0d\x00", "fixed64": "\x09\x00", "cut tag": "\x80",
		"negative length": "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		b := append(protowire.AppendString([]byte{2<<3 | 2}, bad), deep...)
		if !tooDeep(b, reflect.TypeFor[*node]()) {
			t.Errorf("%s: what follows is not looked at", name)
		}
		if tooDeep(append(b[:len(bad)+2], make([]byte, minDeep)...), reflect.TypeFor[*node]()) {
			t.Errorf("%s: refused", name)
		}
	}
}

// The limit and the error are the protobuf module's, and below the smallest size nothing is looked
// at.
func TestDepthLikeProtobuf(t *testing.T) {
	nested := tag(3, protowire.BytesType)
	testkit.Equal(t, len(chain(nested, maxNesting)), 34453)
	for fields, deep := range map[int]bool{maxNesting - 1: false, maxNesting: true} {
		err := proto.Unmarshal(chain(nested, fields), new(descriptorpb.DescriptorProto))
		testkit.Equal(t, err != nil, deep)
		if deep {
			testkit.Equal(t, recursionError().Error(), err.Error())
			testkit.Equal(t, Decode(chain(nested, fields), new(node)).Error(), err.Error())
		}
	}
	testkit.Equal(t, tooDeep([]byte(strings.Repeat("\x2b", minDeep-1)), reflect.TypeFor[*node]()), false)
	testkit.Equal(t, tooDeep([]byte(strings.Repeat("\x2b", minDeep)), reflect.TypeFor[*node]()), true)
}

func FuzzNesting(f *testing.F) {
	f.Add(chain(tag(2, protowire.BytesType), 20), 10)
	f.Add([]byte("\x2b\x2b\x0a\x7f\x2c"), 2)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		s := shapeOf(reflect.TypeFor[*node]())
		if limit > 0 && nestsDeeper(b, s, limit) && limit > len(b) {
			t.Errorf("%d bytes are nested deeper than %d", len(b), limit)
		}
	})
}
