package wire

import (
	"bytes"
	"math"
	"testing"
)

func TestControlFrames(t *testing.T) {
	for _, test := range []struct {
		f    *Frame
		want string
	}{
		{CancelFrame(7, false), "\x00\x00\x00\x00\x00\x00\x00\x07\x41\x00"},
		{CancelFrame(7, true), "\x00\x00\x00\x00\x00\x00\x00\x07\x41\x01"},
		{ControlFrame(TypePing, 5, []byte("ab")), "\x00\x00\x00\x02\x00\x00\x00\x05\x04\x00ab"},
		{WindowFrame(3, math.MaxUint64-1), "\x00\x00\x00\x08\x00\x00\x00\x03\x42\x00\xff\xff\xff\xff\xff\xff\xff\xfe"},
		{GoAwayFrame(9), "\x00\x00\x00\x04\x00\x00\x00\x00\x43\x00\x00\x00\x00\x09"},
	} {
		if got := string(test.f.Bytes()); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
		test.f.Free()
	}
}

// Data that is too short says nothing, and what stands behind it is skipped.
func TestParseControl(t *testing.T) {
	long := bytes.Repeat([]byte{1}, 20)
	for n := range long {
		limit, ok := ParseWindow(long[:n])
		if ok != (n >= 8) || ok && limit != 0x0101010101010101 {
			t.Errorf("Window of %d bytes: %x, %v", n, limit, ok)
		}
		last, ok := ParseGoAway(long[:n])
		if ok != (n >= 4) || ok && last != 0x01010101 {
			t.Errorf("GoAway of %d bytes: %x, %v", n, last, ok)
		}
	}
}
