//go:build go1.25

package wire

import (
	"encoding/binary"
	"testing"
)

// rawFrame lays a frame out by hand.
func rawFrame(id uint32, typ, flags byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, id)
	return append(append(b, typ, flags), data...)
}

func frameOf(b []byte) *Frame {
	f := NewFrame(len(b))
	f.Append(b)
	return f
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if recover() == nil {
			t.Error("it did not panic")
		}
	}()
	f()
}
