//go:build go1.25

package codec

import (
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/containerd/ttrpc/internal/testkit"
)

// keyTwice is an entry of a Struct's map that has its key twice, the second one of another wire
// type. At that the protobuf module panics where the message is one of package dynamicpb, and
// ignores the second where it is generated. FuzzHandover found it.
var keyTwice = []byte(field(1, field(1, "key"), "\x09\x00\x00\x00\x00\x00\x00\x00\x00"))

func TestDecodeDynamicPanics(t *testing.T) {
	m := dynamicpb.NewMessage(new(structpb.Struct).ProtoReflect().Descriptor())
	err := Decode(keyTwice, m)
	testkit.Equal(t, textOf(err),
		"proto: cannot decode google.protobuf.Struct: type mismatch: cannot convert nil to map key")
	testkit.Equal(t, Decode(keyTwice, new(structpb.Struct)), nil)
}
