//go:build go1.25

package codec

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/containerd/ttrpc/internal/testkit"
)

// tagsOnly is what the module's adapter knows.
type tagsOnly struct {
	Name  string                 `protobuf:"bytes,1,opt,name=name,proto3"`
	Next  *tagsOnly              `protobuf:"bytes,2,opt,name=next,proto3"`
	When  *timestamppb.Timestamp `protobuf:"bytes,3,opt,name=when,proto3"`
	List  []*tagsOnly            `protobuf:"bytes,4,rep,name=list,proto3"`
	Map   map[string]int32       `protobuf:"bytes,5,rep,name=map,proto3" protobuf_key:"bytes,1,opt,name=key,proto3" protobuf_val:"varint,2,opt,name=value,proto3"`
	Names []string               `protobuf:"bytes,6,rep,name=names,proto3"`
	More  []byte                 // no field of the message
	Other time.Time
}

func (*tagsOnly) Reset()         {}
func (*tagsOnly) String() string { return "" }
func (*tagsOnly) ProtoMessage()  {}

// The others have a field each that gogo knows, and the module does not; byValue is no pointer.
type (
	byValue struct {
		hand
		Name string `protobuf:"bytes,1,opt,name=name,proto3"`
	}
	holdsValue struct {
		hand
		Held tagsOnly `protobuf:"bytes,1,opt,name=held,proto3"`
	}
	holdsValues struct {
		hand
		Held []tagsOnly `protobuf:"bytes,1,rep,name=held,proto3"`
	}
	holdsCustom struct {
		hand
		Held *nodeHolder `protobuf:"bytes,1,opt,name=held,customtype=nodeHolder"`
	}
	nests struct {
		hand
		Map  map[string]*holdsTime `protobuf:"bytes,1,rep,name=map,proto3" protobuf_key:"bytes,1,opt,name=key,proto3" protobuf_val:"bytes,2,opt,name=value,proto3"`
		Self *nests                `protobuf:"bytes,2,opt,name=self,proto3"`
	}
	holdsTime struct {
		hand
		When time.Time `protobuf:"bytes,1,opt,name=when,proto3,stdtime"`
	}
)

func TestStructsWithTags(t *testing.T) {
	m := &tagsOnly{Name: "a", Next: &tagsOnly{Name: "b"}, When: &timestamppb.Timestamp{Seconds: 1}}
	m.List, m.Map, m.Names = []*tagsOnly{{Name: "c"}}, map[string]int32{"d": 1}, []string{"e"}
	b, err := encodeOdd(m)
	testkit.Check(t, err)
	got := new(tagsOnly)
	testkit.Check(t, Decode(b, got))
	if got.List[0].Name != "c" || got.Map["d"] != 1 || got.Names[0] != "e" {
		t.Errorf("got %+v", got)
	}
	if got.Name != "a" || got.Next.Name != "b" || !proto.Equal(got.When, m.When) {
		t.Errorf("got %+v", got)
	}
}

// Where the module does not know a field, there is an error, each time.
func TestStructsWithTagsOfGogo(t *testing.T) {
	for _, m := range []any{&holdsValue{}, &holdsValues{Held: []tagsOnly{{Name: "a"}}}, &holdsTime{}, &holdsCustom{}, &nests{}, byValue{}} {
		for range 2 {
			if _, err := encodeOdd(m); !errors.Is(err, ErrUnknownType) {
				t.Errorf("%T: encoding returns %v", m, err)
			}
			if err := Decode([]byte{0x0a, 0}, m); !errors.Is(err, ErrUnknownType) {
				t.Errorf("%T: decoding returns %v", m, err)
			}
		}
		_, known := adaptable.Load(reflect.TypeOf(m))
		testkit.Equal(t, known, true)
	}
}
