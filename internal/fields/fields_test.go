//go:build go1.25

package fields_test

import (
	"bytes"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/containerd/ttrpc/internal/fields"
)

func TestAll(t *testing.T) {
	b := fields.AppendText(nil, 1, "a")
	b = fields.AppendText(b, 2, "")  // left out
	b = fields.AppendBytes(b, 2, "") // not left out
	b = fields.AppendInt32(b, 3, 0)  // left out
	b = fields.AppendInt32(b, 3, math.MinInt32)
	b = protowire.AppendFixed32(protowire.AppendTag(b, 4, protowire.Fixed32Type), 7)
	b = protowire.AppendTag(protowire.AppendTag(b, 5, protowire.StartGroupType), 5, protowire.EndGroupType)
	var got []fields.Field
	for f, err := range fields.All(b) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if len(got) != 5 {
		t.Fatalf("%d fields: %v", len(got), got)
	}
	if s, err := got[0].Text(); !got[0].IsBytes(1) || s != "a" || err != nil {
		t.Errorf("%v", got[0])
	}
	if !got[1].IsBytes(2) || len(got[1].Bytes) != 0 {
		t.Errorf("%v", got[1])
	}
	if !got[2].IsVarint(3) || int32(got[2].Varint) != math.MinInt32 || got[2].IsBytes(3) || got[2].IsVarint(4) {
		t.Errorf("%v", got[2])
	}
	if got[3].Type != protowire.Fixed32Type || got[4].Type != protowire.StartGroupType {
		t.Errorf("%v, %v", got[3], got[4])
	}
}

func TestAllMalformed(t *testing.T) {
	for _, text := range []string{
		"\x0a", "\x0a\x02a", "\x08", "\x08\x80", "\x00\x01", "\x0c", "\x0b", "\x0b\x14", "\x0d123", "\x0f", "\x80\x80\x80\x80\x10\x00",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	} {
		var last error
		for _, last = range fields.All([]byte(text)) {
		}
		if last == nil {
			t.Errorf("%q is taken", text)
		}
	}
	f := fields.Field{Bytes: []byte("\xff")}
	if s, err := f.Text(); err == nil {
		t.Errorf("invalid UTF-8 is taken: %q", s)
	}
}

// TestAllLeft holds that leaving the loop ends the reading.
func TestAllLeft(t *testing.T) {
	b := bytes.Repeat(fields.AppendInt32(nil, 1, 1), 3)
	n := 0
	for range fields.All(b) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d fields", n)
	}
}
