//go:build go1.25

package ttrpc

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc/internal/testkit"
)

// The tests of internal functions have these few helpers. All other tests are in package
// ttrpc_test.

const svc = "test.Service"

type textMessage = wrapperspb.StringValue

func text(s string) *textMessage { return wrapperspb.String(s) }

func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// field is an encoded field of bytes.
func field(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

// number is an encoded varint field.
func number(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

// data is a Data frame with a text.
func data(id uint32, flags byte, in string) []byte {
	return testkit.Frame{ID: id, Type: 3, Flags: flags, Data: encode(text(in))}.Bytes()
}
