package opaque_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/interop/opaque"
)

// memory is where a message lies.
type memory struct {
	size      int
	abandoned bool
}

func (m *memory) Cap() int { return m.size }
func (m *memory) Abandon() { m.abandoned = true }

// payload is a message with a large field, which is in the message field wrap unless that is 0.
type payload struct {
	before, after []byte
	num, wrap     uint8
}

func (p payload) bytes() []byte {
	body := bytes.Repeat([]byte("x"), 40<<10)
	b := protowire.AppendTag(bytes.Clone(p.before), protowire.Number(p.num), protowire.BytesType)
	b = append(protowire.AppendBytes(b, body), p.after...)
	if p.wrap == 0 {
		return b
	}
	tag := protowire.AppendTag(bytes.Clone(p.before), protowire.Number(p.wrap), protowire.BytesType)
	return append(protowire.AppendBytes(tag, b), p.after...)
}

var (
	required = protowire.AppendBytes([]byte{3<<3 | 2}, nil)
	lazily   = protowire.AppendBytes([]byte{13<<3 | 2}, []byte("\x12\x04text"))
	payloads = map[string]payload{
		"explicit":               {before: required, num: 1},
		"implicit":               {after: required, num: 2},
		"required":               {num: 3},
		"required and missing":   {num: 1},
		"oneof":                  {before: append([]byte("\x42\x01o"), required...), num: 7},
		"twice":                  {before: required, after: []byte("\x0a\x01s"), num: 1},
		"oneof, then another":    {after: append([]byte("\x42\x01o"), required...), num: 7},
		"in a message":           {before: required, num: 1, wrap: 6},
		"in a lazy message":      {before: required, num: 1, wrap: 5},
		"in an easy one":         {after: required, num: 1, wrap: 13},
		"in a oneof":             {before: required, after: []byte("\x0a\x01s"), num: 1, wrap: 9},
		"lazy ones around it":    {before: append(lazily, required...), after: lazily, num: 1},
		"bad lazy one behind":    {before: required, after: []byte("\x6a\x02\x0a\x09"), num: 1},
		"unknown around it":      {before: append([]byte("\xa0\x06\x01"), required...), after: []byte("\xa0\x06\x02"), num: 1},
		"groups around it":       {before: append([]byte("\x63\x0a\x01g\x64"), required...), after: []byte("\x63\x64"), num: 1},
		"list":                   {before: required, num: 10},
		"in a list of entries":   {before: required, num: 2, wrap: 11},
		"an unknown large one":   {before: required, num: 100},
		"in a lazy one, lacking": {num: 1, wrap: 5},
	}
)

// What is handed over is so with opaque messages, lazily decoded ones, and those of editions.
func TestLargeFields(t *testing.T) {
	never := []string{"list", "in a list of entries", "an unknown large one", "bad lazy one behind", "in a lazy one, lacking",
		"required and missing"}
	for name, p := range payloads {
		t.Run(name, func(t *testing.T) {
			if got := compare(t, p); got == slices.Contains(never, name) {
				t.Errorf("handed over is %t", got)
			}
		})
	}
}

func FuzzLargeFields(f *testing.F) {
	for _, p := range payloads {
		f.Add(p.before, p.after, p.num, p.wrap)
	}
	f.Fuzz(func(t *testing.T, before, after []byte, num, wrap uint8) {
		if num != 0 && len(before)+len(after) < 8<<10 {
			compare(t, payload{before: before, after: after, num: num, wrap: wrap})
		}
	})
}

// compare decodes p as the library does and as the protobuf module does. What lies around the field
// that is handed over is overwritten before anybody looks at what is decoded lazily.
func compare(t *testing.T, p payload) (handed bool) {
	t.Helper()
	b := p.bytes()
	want, got, mem := new(opaque.Blob), new(opaque.Blob), &memory{size: len(b)}
	wantErr, err := proto.Unmarshal(b, want), codec.DecodeFrom(mem, b, got)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("got error %v, want %v", err, wantErr)
	}
	if err != nil {
		return false
	}
	from, to := handedOver(b)
	if from < to && !mem.abandoned {
		t.Fatal("a message has memory that is not abandoned")
	}
	clear(b[:from])
	clear(b[to:])
	if !proto.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	return mem.abandoned
}

// handedOver says where the field lies that decoding b hands over.
func handedOver(b []byte) (from, to int) {
	m := new(opaque.Blob)
	_ = codec.DecodeFrom(&memory{size: len(b)}, b, m)
	_ = protorange.Range(m.ProtoReflect(), func(v protopath.Values) error {
		part, ok := v.Index(-1).Value.Interface().([]byte)
		for i := 0; ok && len(part) > 0 && i < len(b) && to == 0; i++ {
			if &part[0] == &b[i] {
				from, to = i, i+len(part)
			}
		}
		return nil
	})
	return from, to
}
