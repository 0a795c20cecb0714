//go:build go1.25

package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Frames of all sizes leave a queue as they came, whole ones in each buffer.
func TestQueueKeepsOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q Queue
	var in, out []byte
	take := func() bool {
		f := q.Pop()
		if f == nil {
			return false
		}
		equal(t, f.next, nil)
		for rest := f.Bytes(); len(rest) > 0; {
			rest = rest[FrameLen(rest):] // panics where a frame is cut
		}
		out = append(out, f.Bytes()...)
		f.Free()
		return true
	}
	for i := range 5000 {
		size := random.IntN(200)
		if i%50 == 0 {
			size = random.IntN(100_000)
		}
		raw := rawFrame(uint32(i), 3, 0, make([]byte, size))
		in = append(in, raw...)
		if i%2 == 0 {
			q.PushBytes(raw)
		} else {
			q.Push(frameOf(raw))
		}
		equal(t, q.Bytes(), len(in)-len(out))
		equal(t, q.Empty(), false)
		if random.IntN(100) == 0 {
			take()
		}
	}
	for take() {
	}
	equal(t, q.Bytes(), 0)
	if !q.Empty() || q.Pop() != nil || !bytes.Equal(in, out) {
		t.Error("something was lost")
	}
}

func TestQueueJoinsSmallFrames(t *testing.T) {
	var q Queue
	for i := range 1000 {
		q.Push(frameOf(rawFrame(uint32(i), 3, 0, make([]byte, 10))))
	}
	buffers, room := 0, 0
	for f := q.head; f != nil; f = f.next {
		buffers++
		room += f.Cap()
	}
	if buffers > 3 || room > 3*q.Bytes() {
		t.Errorf("%d buffers of %d bytes hold %d", buffers, room, q.Bytes())
	}
	q.Clear()
	if !q.Empty() || q.Bytes() != 0 || q.tail != nil {
		t.Error("it is not empty once cleared")
	}
}

// A large frame is handed on as it is; a frame by itself, too.
func TestQueueDoesNotCopyLargeFrames(t *testing.T) {
	var q Queue
	first, large := frameOf(rawFrame(1, 3, 0, nil)), frameOf(rawFrame(3, 3, 0, make([]byte, SmallFrame)))
	q.Push(first)
	q.Push(large)
	for _, want := range []*Frame{first, large} {
		if f := q.Pop(); f != want {
			t.Error("it was copied")
		} else {
			f.Free()
		}
	}
}
