//go:build go1.25

package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/containerd/ttrpc/internal/pipe"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// FuzzReader cuts a stream of bytes into frames, as it arrives in pieces of any size, and compares
// with a reader that has all of it at once.
func FuzzReader(f *testing.F) {
	frames := append(testkit.Frame{ID: 1, Type: 1, Data: []byte("\x0a\x01s\x12\x04echo\x1a\x03\x0a\x01x")}.Bytes(),
		testkit.Frame{ID: 3, Type: 1, Data: make([]byte, 200)}.Bytes()...)
	f.Add(frames, uint64(1), uint16(100))
	f.Add(append(frames, 0, 0, 0), uint64(2), uint16(1000))
	f.Add(bytes.Repeat(data(1, "x").Bytes(), 1000), uint64(3), uint16(20))
	f.Add(testkit.Frame{Type: 3, Data: make([]byte, 1<<16), Claim: 1 << 17}.Bytes(), uint64(4), uint16(1<<16-1))
	f.Add(testkit.Frame{Type: 3, Data: make([]byte, 3*firstPart)}.Bytes(), uint64(5), uint16(1<<16-1))
	f.Add(bytes.Repeat(testkit.Frame{Type: 3, Data: make([]byte, 33_000)}.Bytes(), 3), uint64(6), uint16(1<<16-1))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, limit uint16) {
		r := rand.New(rand.NewPCG(seed, 0))
		most := 1 << r.IntN(18)
		there, back := pipe.New(pipe.Options{Capacity: len(b) + 1, Chunk: func() int { return 1 + r.IntN(most) }}, pipe.Options{})
		defer back.Close()
		_, _ = there.Write(b)
		_ = there.Close()
		tr, gate := New(back, Config{MaxData: int(limit)}), newGate()
		tr.reader.likelyLimit = maxLikely * r.IntN(2)
		defer tr.Discard()
		for {
			in, err := tr.Recv(gate, true)
			if err != nil {
				checkReadEnd(t, err, b, int(limit))
				return
			}
			for ; in != nil; in = tr.Buffered() {
				b = checkFrame(t, in, b, int(limit))
				if !in.Oversized() && r.IntN(4) == 0 {
					in.Take().Free()
				}
			}
			if r.IntN(4) == 0 {
				tr.ReleaseBuffer() // the role of reading changes hands
			}
		}
	})
}

// checkFrame compares a frame with the bytes it came from, and returns the rest.
func checkFrame(t *testing.T, in *Inbound, b []byte, limit int) []byte {
	if len(b) < wire.HeaderLen {
		t.Fatalf("a frame out of %d bytes", len(b))
	}
	h := wire.ParseHeader(b)
	if in.Header != h || in.Oversized() != (h.Length > uint32(limit)) {
		t.Fatalf("%+v, oversized %v; want %+v", in.Header, in.Oversized(), h)
	}
	rest := b[wire.HeaderLen:]
	n := min(uint64(h.Length), uint64(len(rest)))
	if !in.Oversized() && !bytes.Equal(in.Data(), rest[:n]) {
		t.Fatalf("data %x, want %x", in.Data(), rest[:n])
	}
	if in.Oversized() && n < uint64(h.Length) {
		return b[len(b)-1:] // cut: see checkReadEnd
	}
	return rest[n:]
}

func checkReadEnd(t *testing.T, err error, rest []byte, limit int) {
	want := io.EOF
	if len(rest) > 0 {
		want = io.ErrUnexpectedEOF
	}
	if len(rest) >= wire.HeaderLen && uint64(wire.ParseHeader(rest).Length) <= uint64(min(limit, len(rest)-wire.HeaderLen)) {
		t.Fatalf("a frame was left over: %x", rest)
	}
	if !errors.Is(err, want) {
		t.Fatalf("%v with %d bytes left, want %v", err, len(rest), want)
	}
}
