package ttrpc

import (
	"encoding/binary"
	"sync"
)

// A frame is ten bytes of header and the data.
const (
	headerLen = 10

	lengthAt = 0 // 4 bytes, big endian: the data's length; the first of them is reserved and zero
	streamAt = 4 // 4 bytes, big endian: the stream id; odd for streams that the client opened
	typeAt   = 8 // 1 byte: messageType
	flagsAt  = 9 // 1 byte: flag bits, their meaning depends on the type

	defaultMaxMessage = 4 << 20   // bytes of data in a frame
	maxMaxMessage     = 1<<24 - 1 // what three length bytes can say
)

type messageType uint8

const (
	typeRequest  messageType = 0x1 // client to server: opens a stream
	typeResponse messageType = 0x2 // server to client: ends a stream
	typeData     messageType = 0x3 // either way: a message of a stream, its end, or both
)

// String is the name that error texts use.
func (t messageType) String() string {
	switch t {
	case typeRequest:
		return "request"
	case typeResponse:
		return "response"
	case typeData:
		return "data"
	}
	return "unknown"
}

const (
	flagRemoteClosed = 0x1 // the sender sends no more on this stream
	flagRemoteOpen   = 0x2 // Request: the sender will send Data
	flagNoData       = 0x4 // the frame carries no message; without it an empty frame is an empty message
)

type header struct {
	length uint32 // stays a uint32 until it is checked against a limit: int may have 32 bits
	stream uint32
	typ    messageType
	flags  uint8
}

func parseHeader(b []byte) header {
	_ = b[headerLen-1]
	return header{
		length: binary.BigEndian.Uint32(b[lengthAt:]),
		stream: binary.BigEndian.Uint32(b[streamAt:]),
		typ:    messageType(b[typeAt]),
		flags:  b[flagsAt],
	}
}

func (h header) put(b []byte) {
	_ = b[headerLen-1]
	binary.BigEndian.PutUint32(b[lengthAt:], h.length)
	binary.BigEndian.PutUint32(b[streamAt:], h.stream)
	b[typeAt], b[flagsAt] = byte(h.typ), h.flags
}

// frame is a pooled buffer: a frame in the making, a frame received, or (in a queue, on a reader) several
// back to back. It has one owner at a time, who passes it on or frees it.
type frame struct {
	b     []byte
	next  *frame // the frame behind it in a queue
	class int8   // index into frameClasses; -1: too large to be pooled
	freed bool
}

// frameClasses are the capacities that are pooled. From 64 KiB on they are powers of two and a page, so that
// a message of a power of two fits with its envelope.
var frameClasses = [...]int{
	128, 512, 2 << 10, 8 << 10, 32 << 10, 72 << 10, 136 << 10, 264 << 10, 520 << 10,
	1<<20 + 8<<10, 2<<20 + 8<<10, 4<<20 + 8<<10, 8<<20 + 8<<10,
}

var framePools [len(frameClasses)]sync.Pool

// newFrame returns an empty frame, owned by the caller, with room for size bytes.
func newFrame(size int) *frame {
	for class, capacity := range frameClasses {
		if size > capacity {
			continue
		}
		if f, _ := framePools[class].Get().(*frame); f != nil {
			f.freed = false
			return f
		}
		return &frame{b: make([]byte, 0, capacity), class: int8(class)}
	}
	return &frame{b: make([]byte, 0, size), class: -1}
}

// free ends the ownership: the caller may not touch f or its bytes again.
func (f *frame) free() {
	if f.freed {
		panic("ttrpc: frame freed twice")
	}
	f.freed = true
	if f.class < 0 {
		return
	}
	f.b, f.next = f.b[:0], nil
	framePools[f.class].Put(f)
}

// grow returns a frame with f's bytes and room for size, and frees f if that is another one.
func (f *frame) grow(size int) *frame {
	if cap(f.b) >= size {
		return f
	}
	g := newFrame(size)
	g.b = append(g.b, f.b...)
	f.free()
	return g
}

// seal writes the header in front of the data that has been appended behind its ten bytes.
func (f *frame) seal(typ messageType, flags uint8) {
	header{length: uint32(len(f.b) - headerLen), typ: typ, flags: flags}.put(f.b)
}

func (f *frame) setStream(id uint32) { binary.BigEndian.PutUint32(f.b[streamAt:], id) }

func (f *frame) data() []byte { return f.b[headerLen:] }

// startFrame returns a frame with the header's bytes reserved and room for size bytes of data.
func startFrame(size int) *frame {
	f := newFrame(headerLen + size)
	f.b = f.b[:headerLen]
	return f
}

const (
	smallFrame  = 4 << 10  // up to here a frame is worth copying into a shared buffer
	sharedFrame = 32 << 10 // the size of such a buffer
)

// queue is a list of buffers that hold whole frames back to back. It owns them. Not safe for concurrent use.
type queue struct {
	head, tail *frame
	bytes      int // in all buffers
}

func (q *queue) empty() bool { return q.head == nil }

// push takes f. A small frame behind others is copied into the last buffer, so that many small ones
// leave in one write and cost the memory of their bytes.
func (q *queue) push(f *frame) {
	if q.tail != nil && len(f.b) <= smallFrame {
		q.pushBytes(f.b)
		f.free()
		return
	}
	q.bytes += len(f.b)
	q.link(f)
}

// pushBytes copies one whole frame to the end.
func (q *queue) pushBytes(b []byte) {
	q.bytes += len(b)
	t := q.tail
	if t == nil {
		f := newFrame(len(b))
		f.b = append(f.b, b...)
		q.link(f)
		return
	}
	if cap(t.b)-len(t.b) < len(b) {
		t = q.extend(len(b))
	}
	t.b = append(t.b, b...)
}

// extend makes room for n more bytes behind the last buffer: in a larger one in its place, or in a new one.
func (q *queue) extend(n int) *frame {
	t := q.tail
	if grown := max(4*cap(t.b), len(t.b)+n); grown <= sharedFrame && q.head == t {
		q.head = t.grow(grown)
		q.tail = q.head
		return q.tail
	}
	q.link(newFrame(max(n, sharedFrame)))
	return q.tail
}

func (q *queue) link(f *frame) {
	f.next = nil
	if q.tail == nil {
		q.head = f
	} else {
		q.tail.next = f
	}
	q.tail = f
}

// pop hands the first buffer over to the caller; nil when there is none.
func (q *queue) pop() *frame {
	f := q.head
	if f == nil {
		return nil
	}
	if q.head = f.next; q.head == nil {
		q.tail = nil
	}
	f.next = nil
	q.bytes -= len(f.b)
	return f
}

// clear frees everything.
func (q *queue) clear() {
	for f := q.pop(); f != nil; f = q.pop() {
		f.free()
	}
}
