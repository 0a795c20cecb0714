package transport

import (
	"io"
	"net"
	"syscall"

	"github.com/containerd/ttrpc/internal/wire"
)

const (
	readSmall = 8 << 10  // bytes asked for at a time
	readLarge = 32 << 10 // the same once small frames come many at once
	firstPart = 64 << 10 // what a larger frame gets before more of it has arrived
	partStep  = 4        // by what its buffer grows then

	// ReadAhead is the most that one read brings, in bytes.
	ReadAhead = readLarge
)

// messageSize is up to how many bytes peers write, and expect, a frame in one piece where the conn
// is made of messages. A larger frame comes in two, the first of them of that size.
const messageSize = 4 << 10

// Inbound is a received frame. Its bytes belong to the reader and are gone with the next one; Take
// makes them the caller's. It is plain data.
type Inbound struct {
	wire.Header
	Oversized bool   // over the limit: there is a header alone, the data is dropped as it comes
	Raw       []byte // header and data

	// The buffer of Raw, where that holds this frame alone; freed by the next one unless taken.
	own *wire.Frame
}

// Data is what stands behind the header.
func (in *Inbound) Data() []byte { return in.Raw[wire.HeaderLen:] }

// Whole reports whether Take does not copy.
func (in *Inbound) Whole() bool { return in.own != nil }

// Take returns the frame in a buffer of its own, owned by the caller.
func (in *Inbound) Take() *wire.Frame {
	if f := in.own; f != nil {
		in.own = nil
		return f
	}
	f := wire.NewFrame(len(in.Raw))
	f.Append(in.Raw)
	return f
}

// reader is the receiving half. One goroutine at a time uses it.
//
// It reads many frames at once into a pooled buffer and gives them out in place. A frame that has
// not arrived whole gets a buffer of its own, which grows with what has arrived; for the announced
// length alone it gets no more than the peer has sent in one frame before. While it waits on a
// descriptor with no part of a frame at hand it holds no buffer at all.
type reader struct {
	conn     net.Conn
	raw      syscall.RawConn // nil: conn.Read blocks, with a buffer in hand
	max      int             // bytes of data accepted in a frame
	messages bool            // each Read may be one, which must be taken whole
	first    func(first []byte) error

	buf     *wire.Frame // what was read last; nil while waiting
	unread  []byte      // of buf
	part    *wire.Frame // a frame arriving in its own buffer
	want    int         // part's whole length
	earned  int         // the largest frame that has come whole: so much the next one gets at once
	skip    uint32      // bytes still to be dropped, of a frame that was oversized
	head    [wire.HeaderLen]byte
	nhead   int     // bytes of a cut header, kept in head while there is no buf
	filled  bool    // the last read filled its buffer
	in      Inbound // the frame given out last
	recvErr error   // what reading has ended with

	batch  *batching
	frames int // given out since the last read

	gate Gate // of the one in the poller
	away bool // that one is outside of the gate; its own
	poll func(fd uintptr) bool
	spin spin
}

func (r *reader) init(conn net.Conn, k kind, c Config) {
	r.conn, r.raw, r.messages, r.max, r.first = conn, k.raw, k.messages, c.MaxData, c.First
	r.poll = r.attemptPolled
	r.spin.init(r)
}

// Recv waits for the next frame. An EOF in mid-frame is io.ErrUnexpectedEOF. inside says that the
// caller is in the gate; he is when it returns.
func (r *reader) Recv(gate Gate, inside bool) (*Inbound, error) {
	for ; ; inside = true {
		if !inside {
			r.recvErr = r.fill(gate, false)
			continue
		}
		if in := r.Buffered(); in != nil {
			return in, nil
		}
		if r.recvErr == nil {
			r.keepHead()
			r.recvErr = r.fill(gate, true)
		}
		if r.recvErr != nil {
			return nil, r.end(r.recvErr)
		}
	}
}

// TryRecv is Recv for one who is in the gate while another is in the poller: it asks the descriptor
// for a short time, and returns nil when nothing has come, or an error: see RecvErr.
func (r *reader) TryRecv() *Inbound {
	for {
		if in := r.Buffered(); in != nil {
			return in
		}
		if r.recvErr != nil || r.raw == nil {
			return nil
		}
		r.keepHead()
		if !r.spin.fill() {
			r.Rest()
			return nil
		}
	}
}

// TryRecvNow is TryRecv that does not wait: nil says that the descriptor has nothing more,
// or has failed.
func (r *reader) TryRecvNow() *Inbound {
	for {
		if in := r.Buffered(); in != nil {
			return in
		}
		if r.recvErr != nil || r.raw == nil {
			return nil
		}
		r.keepHead()
		if !r.spin.ask() {
			r.Rest()
			return nil
		}
	}
}

// RecvErr is what reading has ended with, or nil.
func (r *reader) RecvErr() error {
	if r.recvErr == nil {
		return nil
	}
	return r.end(r.recvErr)
}

// CanTry reports whether TryRecv is of any use.
func (r *reader) CanTry() bool { return r.raw != nil }

// end words the end of a connection.
func (r *reader) end(err error) error {
	if err == io.EOF && (r.nhead > 0 || r.part != nil || r.skip > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Buffered returns the next frame of those already read, or nil.
func (r *reader) Buffered() *Inbound {
	if r.in.own != nil {
		r.in.own.Free()
	}
	r.in = Inbound{}
	if !r.cut(&r.in) {
		return nil
	}
	r.frames++
	return &r.in
}

// HasUnread reports whether bytes of a further frame have been read.
func (r *reader) HasUnread() bool { return len(r.unread) > 0 }

// Rest lets go of the read buffer when nothing whole is left in it, so that another one can read.
func (r *reader) Rest() {
	r.keepHead()
	r.freeBuffer()
}

// keepHead keeps what is left of the buffer, which is less than a header, outside of it.
func (r *reader) keepHead() {
	r.nhead += copy(r.head[r.nhead:], r.unread)
	r.unread = nil
}

// cut takes the next frame out of what has been read.
func (r *reader) cut(in *Inbound) bool {
	if r.part != nil {
		return r.cutPart(in)
	}
	r.dropSkipped()
	if len(r.unread) < wire.HeaderLen {
		return false
	}
	h := wire.ParseHeader(r.unread)
	if h.Length > uint32(r.max) {
		*in = Inbound{Header: h, Oversized: true}
		r.unread, r.skip = r.unread[wire.HeaderLen:], h.Length
		return true
	}
	total := wire.HeaderLen + int(h.Length)
	if len(r.unread) < total {
		r.startPart(total)
		return false
	}
	*in = Inbound{Header: h, Raw: r.unread[:total:total]}
	r.spin.bytes = total
	r.unread = r.unread[total:]
	return true
}

func (r *reader) cutPart(in *Inbound) bool {
	if r.part.Len() < r.want {
		return false
	}
	r.earned, r.spin.bytes = max(r.earned, r.want), r.want
	*in = Inbound{Header: wire.ParseHeader(r.part.Bytes()), Raw: r.part.Bytes(), own: r.part}
	r.part = nil
	return true
}

func (r *reader) startPart(total int) {
	size := min(total, max(firstPart, partStep*len(r.unread), r.earned))
	if r.messages && len(r.unread) >= messageSize {
		size = total // the rest comes as one
	}
	r.part = wire.NewFrame(size)
	r.part.Append(r.unread)
	r.unread, r.want, r.filled = nil, total, false
}

func (r *reader) dropSkipped() {
	n := min(uint64(r.skip), uint64(len(r.unread)))
	r.unread = r.unread[n:]
	r.skip -= uint32(n)
}

// fill reads once, and waits for that. What is unread before it is less than a header,
// and kept in head.
func (r *reader) fill(gate Gate, inside bool) error {
	if r.raw == nil {
		n, err := r.conn.Read(r.nextBuffer())
		return r.accept(n, err)
	}
	r.gate, r.away = gate, !inside
	err := r.raw.Read(r.poll)
	if r.away { // the waiting itself has failed
		r.away = false
		gate.Enter()
	}
	if r.recvErr != nil { // by an attempt, perhaps another one's
		return r.recvErr
	}
	return err
}

// attemptPolled is one read(2), run by the runtime whenever the descriptor may be readable. Before
// it has the runtime wait, it gives the buffer back and leaves the gate:
// another one may read meanwhile.
func (r *reader) attemptPolled(fd uintptr) bool {
	if r.away && !r.gate.TryEnter() {
		return false
	}
	r.away = false
	if r.recvErr != nil || r.try(fd) {
		return true
	}
	r.freeBuffer()
	r.away = true
	r.gate.Leave()
	return false
}

// try is one attempt: it reports whether there is something, be it a failure.
func (r *reader) try(fd uintptr) bool {
	n, err := tryRead(fd, r.nextBuffer())
	if err == errWouldBlock {
		return false
	}
	r.recvErr = r.accept(n, err)
	return true
}

// freeBuffer gives the read buffer back while there is nothing to read.
func (r *reader) freeBuffer() {
	if r.buf != nil && len(r.unread) == 0 {
		r.buf.Free()
		r.buf = nil
	}
}

// nextBuffer is where the next bytes go.
func (r *reader) nextBuffer() []byte {
	if p := r.part; p != nil {
		if p.Len() == p.Cap() {
			p = p.Grow(min(r.want, partStep*p.Cap()))
			r.part = p
		}
		return p.Bytes()[p.Len():min(p.Cap(), r.want)]
	}
	if size := r.readSize(); r.buf == nil || r.buf.Cap() != size {
		if r.buf != nil {
			r.buf.Free()
		}
		r.buf = wire.NewFrame(size)
	}
	return r.buf.Bytes()[r.nhead:r.buf.Cap()]
}

func (r *reader) readSize() int {
	if r.filled || r.skip > 0 {
		return readLarge
	}
	return readSmall
}

// accept books n bytes that were read into nextBuffer.
func (r *reader) accept(n int, err error) error {
	if n == 0 {
		return err // nil too: a conn may do this; an attempt on a descriptor says io.EOF
	}
	r.spin.came()
	if p := r.part; p != nil {
		p.SetBytes(p.Bytes()[:p.Len()+n])
		return nil
	}
	if r.frames > 0 {
		r.batch.count(r.frames)
		r.frames = 0
	}
	b := r.buf.Bytes()[:r.nhead+n]
	r.filled = len(b) == cap(b)
	copy(b, r.head[:r.nhead])
	r.unread, r.nhead = b, 0
	if first := r.first; first != nil {
		if len(b) >= wire.HeaderLen {
			r.first = nil
		}
		return first(b)
	}
	return nil
}

// Silent reports whether the peer has never sent anything, to one who reads.
func (r *reader) Silent() bool { return r.first != nil && r.nhead == 0 }

// Discard frees what the reader still holds, once nobody reads any more.
func (r *reader) Discard() {
	r.Rest()
	if r.part != nil {
		r.part.Free()
		r.part = nil
	}
	if r.in.own != nil {
		r.in.own.Free()
		r.in.own = nil
	}
}
