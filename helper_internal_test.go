//go:build go1.25

package ttrpc

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The tests of internal functions have these few helpers. All other tests are in package
// ttrpc_test.

const svc = "test.Service"

type message = wrapperspb.StringValue

func text(s string) *message { return wrapperspb.String(s) }

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

// rawFrame is a frame made by hand; claim, if not zero, is the length that its header says.
type rawFrame struct {
	id    uint32
	typ   byte
	flags byte
	data  []byte
	claim uint32
}

func (f rawFrame) bytes() []byte {
	length := uint32(len(f.data))
	if f.claim != 0 {
		length = f.claim
	}
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, f.id)
	return append(append(b, f.typ, f.flags), f.data...)
}

// data is a Data frame with a text.
func data(id uint32, flags byte, in string) rawFrame {
	return rawFrame{id: id, typ: 3, flags: flags, data: encode(text(in))}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}

func wantExactly(t testing.TB, err, want error) {
	t.Helper()
	if err != want {
		t.Fatalf("got error %v (%T), want exactly %v", err, err, want)
	}
}

// elapse lets time go by in a synctest bubble.
func elapse(d time.Duration) { <-time.NewTimer(d).C }
