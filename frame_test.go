//go:build go1.25

package ttrpc

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestHeader(t *testing.T) {
	for _, test := range []struct {
		h header
		b string
	}{
		{header{length: 0x01020304, stream: 0x05060708, typ: typeData, flags: 9}, "\x01\x02\x03\x04\x05\x06\x07\x08\x03\x09"},
		{header{length: 1, stream: 3, typ: typeRequest}, "\x00\x00\x00\x01\x00\x00\x00\x03\x01\x00"},
		{header{length: 1<<32 - 1, stream: 1<<32 - 1, typ: 255, flags: 255}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		b := make([]byte, headerLen)
		test.h.put(b)
		equal(t, string(b), test.b)
		equal(t, parseHeader([]byte(test.b+"more")), test.h)
	}
	for typ, want := range map[messageType]string{0: "unknown", 1: "request", 2: "response", 3: "data", 4: "unknown"} {
		equal(t, typ.String(), want)
	}
}

func TestFrameIsSealed(t *testing.T) {
	f := startFrame(3)
	defer f.free()
	f.b = append(f.b, "abc"...)
	f.seal(typeData, 5)
	f.setStream(7)
	equal(t, string(f.b), string(rawFrame{id: 7, typ: 3, flags: 5, data: []byte("abc")}.bytes()))
	equal(t, string(f.data()), "abc")
}

func TestFrameSizes(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 32 << 10, 64<<10 + headerLen, 1<<20 + 100, 4<<20 + 100, 16 << 20} {
		f := newFrame(size)
		if len(f.b) != 0 || cap(f.b) < size || f.class >= 0 && cap(f.b) != frameClasses[f.class] {
			t.Errorf("a frame for %d bytes has %d of %d, class %d", size, len(f.b), cap(f.b), f.class)
		}
		equal(t, f.class < 0, size > frameClasses[len(frameClasses)-1])
		f.free()
	}
	for _, power := range []int{64 << 10, 1 << 20, 4 << 20} {
		f := startFrame(power + 200) // an envelope beside the message
		if cap(f.b) > power+power/4 {
			t.Errorf("a message of %d bytes takes a buffer of %d", power, cap(f.b))
		}
		f.free()
	}
}

func TestFrameFreedTwicePanics(t *testing.T) {
	f := &frame{b: make([]byte, 1), class: -1} // of no pool, so that nobody else gets it
	f.free()
	defer func() {
		if recover() == nil {
			t.Error("it did not panic")
		}
	}()
	f.free()
}

func TestFrameGrows(t *testing.T) {
	f := newFrame(10)
	f.b = append(f.b, "0123456789"...)
	if g := f.grow(100); g != f {
		t.Error("it grew for nothing")
	}
	g := f.grow(100_000)
	defer g.free()
	if !f.freed || g == f || cap(g.b) < 100_000 {
		t.Error("it did not grow")
	}
	equal(t, string(g.b), "0123456789")
}

// Frames of all sizes leave a queue as they came, whole ones in each buffer.
func TestQueueKeepsOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q queue
	var in, out []byte
	take := func() bool {
		f := q.pop()
		if f == nil {
			return false
		}
		for rest := f.b; len(rest) > 0; {
			rest = rest[headerLen+int(parseHeader(rest).length):] // panics where a frame is cut
		}
		out = append(out, f.b...)
		f.free()
		return true
	}
	for i := range 5000 {
		size := random.IntN(200)
		if i%50 == 0 {
			size = random.IntN(100_000)
		}
		raw := rawFrame{id: uint32(i), typ: 3, data: make([]byte, size)}.bytes()
		in = append(in, raw...)
		if i%2 == 0 {
			q.pushBytes(raw)
		} else {
			f := newFrame(len(raw))
			f.b = append(f.b, raw...)
			q.push(f)
		}
		equal(t, q.bytes, len(in)-len(out))
		if random.IntN(100) == 0 {
			take()
		}
	}
	for take() {
	}
	equal(t, q.bytes, 0)
	if !q.empty() || q.pop() != nil || !bytes.Equal(in, out) {
		t.Error("something was lost")
	}
}

func TestQueueJoinsSmallFrames(t *testing.T) {
	var q queue
	for i := range 1000 {
		f := startFrame(10)
		f.b = append(f.b, make([]byte, 10)...)
		f.seal(typeData, 0)
		f.setStream(uint32(i))
		q.push(f)
	}
	buffers, room := 0, 0
	for f := q.head; f != nil; f = f.next {
		buffers++
		room += cap(f.b)
	}
	if buffers > 3 || room > 3*q.bytes {
		t.Errorf("%d buffers of %d bytes hold %d", buffers, room, q.bytes)
	}
	q.clear()
	if !q.empty() || q.bytes != 0 || q.tail != nil {
		t.Error("it is not empty once cleared")
	}
}
