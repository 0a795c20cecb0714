package services

import (
	"fmt"
	"testing"

	"github.com/gogo/protobuf/proto"
	_ "github.com/gogo/protobuf/test/castvalue" // which imports gogoproto by another name than it has
	"google.golang.org/protobuf/reflect/protodesc"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages/gogo"
	"github.com/containerd/ttrpc/reflection"
)

// TestReflectionOfGogo holds that a program with gogo's messages can show them, such that a client
// can make descriptors of all that it gets.
func TestReflectionOfGogo(t *testing.T) {
	client := overTTRPC(t, func(s *ttrpc.Server) {
		reflection.Register(s, reflection.WithGzipped(proto.FileDescriptor, "gogo/item.proto", "castvalue.proto"))
	})
	for symbol, want := range map[string]string{
		proto.MessageName(new(item.Item)): "[gogo/item.proto]",
		"ttrpc.interop.gogo.Item.NONE":    "[gogo/item.proto]",
		"castvalue.Castaway":              "[castvalue.proto github.com/gogo/protobuf/gogoproto/gogo.proto google/protobuf/descriptor.proto]",
		"gogoproto.goproto_registration":  "[github.com/gogo/protobuf/gogoproto/gogo.proto google/protobuf/descriptor.proto]",
	} {
		set, err := reflection.FileContainingSymbol(t.Context(), client, symbol)
		check(t, err)
		if got := fmt.Sprint(names(set.File)); got != want {
			t.Errorf("%s: got %s, want %s", symbol, got, want)
		}
		if _, err := protodesc.NewFiles(set); err != nil {
			t.Errorf("%s: %v", symbol, err)
		}
	}
	set, err := reflection.FileByFilename(t.Context(), client, "gogo.proto")
	check(t, err)
	if len(set.File) == 0 || set.File[0].GetName() != "gogo.proto" {
		t.Errorf("got %v", names(set.File))
	}
}
