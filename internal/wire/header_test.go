//go:build go1.25

package wire

import (
	"bytes"
	"slices"
	"testing"
)

func TestHeader(t *testing.T) {
	for _, test := range []struct {
		h Header
		b string
	}{
		{Header{Length: 0x01020304, Stream: 0x05060708, Type: TypeData, Flags: 9}, "\x01\x02\x03\x04\x05\x06\x07\x08\x03\x09"},
		{Header{Length: 1, Stream: 3, Type: TypeRequest}, "\x00\x00\x00\x01\x00\x00\x00\x03\x01\x00"},
		{Header{Length: 1<<32 - 1, Stream: 1<<32 - 1, Type: 255, Flags: 255}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		b := make([]byte, HeaderLen)
		test.h.Put(b)
		equal(t, string(b), test.b)
		equal(t, ParseHeader([]byte(test.b+"more")), test.h)
	}
}

func TestTypeNames(t *testing.T) {
	for typ, want := range map[Type]string{0: "unknown", 1: "request", 2: "response", 3: "data", 4: "unknown"} {
		equal(t, typ.String(), want)
	}
}

func TestHeaderNeedsItsBytes(t *testing.T) {
	wantPanic(t, func() { ParseHeader(make([]byte, HeaderLen-1)) })
	wantPanic(t, func() { Header{}.Put(make([]byte, HeaderLen-1)) })
}

// FramesWithin counts whole frames alone, and those that fit to the last byte.
func TestFramesWithin(t *testing.T) {
	b := slices.Concat(rawFrame(1, 3, 0, make([]byte, 5)), rawFrame(3, 3, 0, nil), rawFrame(5, 3, 0, make([]byte, 20)))
	equal(t, FrameLen(b), 15)
	for limit, want := range map[int]int{0: 0, 14: 0, 15: 15, 24: 15, 25: 25, 54: 25, 55: 55, 1000: 55} {
		equal(t, FramesWithin(b, limit), want)
	}
	equal(t, FramesWithin(nil, 100), 0)
}

func FuzzHeader(f *testing.F) {
	f.Add(make([]byte, HeaderLen))
	f.Add([]byte("\x00\x40\x00\x00\x00\x00\x00\x01\x01\x02"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderLen {
			return
		}
		out := make([]byte, HeaderLen)
		ParseHeader(b).Put(out)
		if !bytes.Equal(out, b[:HeaderLen]) {
			t.Fatalf("%x became %x", b[:HeaderLen], out)
		}
	})
}
