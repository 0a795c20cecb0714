package wire

const (
	// SmallFrame is up to how many bytes a frame is worth copying into a shared buffer.
	SmallFrame = 4 << 10
	// SharedFrame is the size, in bytes, of such a buffer.
	SharedFrame = 32 << 10
)

// Queue is a list of buffers that hold whole frames back to back. It owns them. The zero value is
// empty. It is not safe for concurrent use.
type Queue struct {
	head, tail *Frame
	bytes      int // in all buffers
}

// Empty reports whether the queue holds nothing.
func (q *Queue) Empty() bool { return q.head == nil }

// Bytes is how many bytes the queue holds.
func (q *Queue) Bytes() int { return q.bytes }

// Push takes f. A small frame behind others is copied into the last buffer, so that many small ones
// leave in one write and cost the memory of their bytes.
func (q *Queue) Push(f *Frame) {
	if q.tail != nil && len(f.b) <= SmallFrame {
		q.PushBytes(f.b)
		f.Free()
		return
	}
	q.bytes += len(f.b)
	q.link(f)
}

// PushBytes copies one whole frame to the end.
func (q *Queue) PushBytes(b []byte) {
	q.bytes += len(b)
	t := q.tail
	if t == nil {
		f := NewFrame(len(b))
		f.Append(b)
		q.link(f)
		return
	}
	if cap(t.b)-len(t.b) < len(b) {
		t = q.extend(len(b))
	}
	t.Append(b)
}

// extend makes room for n more bytes behind the last buffer: in a larger one in its place,
// or in a new one.
func (q *Queue) extend(n int) *Frame {
	t := q.tail
	if grown := max(4*cap(t.b), len(t.b)+n); grown <= SharedFrame && q.head == t {
		q.head = t.Grow(grown)
		q.tail = q.head
		return q.tail
	}
	q.link(NewFrame(max(n, SharedFrame)))
	return q.tail
}

func (q *Queue) link(f *Frame) {
	f.next = nil
	if q.tail == nil {
		q.head = f
	} else {
		q.tail.next = f
	}
	q.tail = f
}

// Pop hands the first buffer over to the caller; it returns nil when there is none.
func (q *Queue) Pop() *Frame {
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

// Clear frees everything.
func (q *Queue) Clear() {
	for f := q.Pop(); f != nil; f = q.Pop() {
		f.Free()
	}
}
