package wire

import (
	"encoding/binary"
	"strings"
	"sync"
	"unsafe"
)

// Frame is a pooled buffer: a frame that is being built, one that was received, or (in a Queue, in
// a reader) several frames back to back. A Frame has one owner at a time,
// who passes it on or frees it.
type Frame struct {
	b     []byte
	next  *Frame // the frame behind it in a Queue
	class int8   // the index into frameClasses; -1 for one too large to be pooled
	freed bool
}

// frameClasses are the capacities that are pooled. From 64 KiB on they are powers of two and a
// page, so that a message of a power of two fits with its envelope.
var frameClasses = [...]int{
	128, 512, 2 << 10, 8 << 10, 32 << 10, 72 << 10, 136 << 10, 264 << 10, 520 << 10,
	1<<20 + 8<<10, 2<<20 + 8<<10, 4<<20 + 8<<10, 8<<20 + 8<<10,
}

// largeBuffer is from which capacity on a new buffer is not zeroed, in bytes.
const largeBuffer = 64 << 10

var framePools [len(frameClasses)]sync.Pool

// NewFrame returns an empty frame, owned by the caller, with room for size bytes.
func NewFrame(size int) *Frame {
	for class, capacity := range frameClasses {
		if size > capacity {
			continue
		}
		if f, _ := framePools[class].Get().(*Frame); f != nil {
			f.freed = false
			return f
		}
		return &Frame{b: newBuffer(capacity), class: int8(class)}
	}
	return &Frame{b: newBuffer(size), class: -1}
}

// newBuffer returns an empty buffer. A large one is not zeroed, which would cost as much as a copy,
// and make has no way to say so: it is that of a Builder, whose string nobody keeps.
func newBuffer(capacity int) []byte {
	if capacity < largeBuffer {
		return make([]byte, 0, capacity)
	}
	var b strings.Builder
	b.Grow(capacity)
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), capacity)[:0]
}

// StartFrame returns a frame that has the header's bytes already, and room for size bytes of data.
func StartFrame(size int) *Frame {
	f := NewFrame(HeaderLen + size)
	f.b = f.b[:HeaderLen]
	return f
}

// Free ends the ownership: the caller may not touch the frame or its bytes again. A frame that has
// grown out of its class is not pooled, or those who ask for little would hold much.
func (f *Frame) Free() {
	if f.freed {
		panic("ttrpc: frame freed twice")
	}
	f.freed = true
	if f.class < 0 || cap(f.b) != frameClasses[f.class] {
		return
	}
	f.b, f.next = f.b[:0], nil
	framePools[f.class].Put(f)
}

// Abandon says that somebody else has a part of the frame's bytes for good: Free does not pool the
// buffer, and nobody may write into it any more.
func (f *Frame) Abandon() { f.class = -1 }

// Grow returns a frame with the same bytes and room for size,
// and frees this one if that is another one.
func (f *Frame) Grow(size int) *Frame {
	if cap(f.b) >= size {
		return f
	}
	g := NewFrame(size)
	g.b = append(g.b, f.b...)
	f.Free()
	return g
}

// Bytes are all the frame's bytes. They belong to the frame's owner.
func (f *Frame) Bytes() []byte { return f.b }

// SetBytes gives the frame the bytes that were appended to what Bytes has returned.
func (f *Frame) SetBytes(b []byte) { f.b = b }

// Len is how many bytes the frame has, its header counted.
func (f *Frame) Len() int { return len(f.b) }

// Cap is for how many bytes the frame has room.
func (f *Frame) Cap() int { return cap(f.b) }

// Append copies b behind the frame's bytes.
func (f *Frame) Append(b []byte) { f.b = append(f.b, b...) }

// Data is what stands behind the header of a frame that is alone in its buffer.
func (f *Frame) Data() []byte { return f.b[HeaderLen:] }

// Seal writes the header in front of the data that has been appended behind its ten bytes.
func (f *Frame) Seal(typ Type, flags uint8) {
	Header{Length: uint32(len(f.b) - HeaderLen), Type: typ, Flags: flags}.Put(f.b)
}

// SetStream writes the stream id of a sealed frame.
func (f *Frame) SetStream(id uint32) { binary.BigEndian.PutUint32(f.b[streamAt:], id) }

// SetFlag adds a flag to a sealed frame.
func (f *Frame) SetFlag(flag uint8) { f.b[flagsAt] |= flag }

// IsLast reports whether a sealed frame says that its sender sends no more.
func (f *Frame) IsLast() bool { return f.b[flagsAt]&FlagRemoteClosed != 0 }

// EndFrame returns a Data frame that closes a half of a stream without a message.
func EndFrame() *Frame {
	f := StartFrame(0)
	f.Seal(TypeData, FlagRemoteClosed|FlagNoData)
	return f
}
