package ttrpc

import (
	"io"
	"net"
	"syscall"
)

const (
	readSmall = 8 << 10  // bytes asked for at a time
	readLarge = 32 << 10 // the same once small frames come in crowds
	firstPart = 64 << 10 // what a larger frame gets before more of it has arrived
	partStep  = 4        // by what its buffer grows then
)

// inbound is a received frame. Its bytes belong to the reader and are gone with the next recv; take makes
// them the caller's.
type inbound struct {
	header
	oversized bool   // over the limit: a header alone, the data is dropped as it comes
	raw       []byte // header and data
	own       *frame // the buffer of raw, where that holds this frame alone; freed by the next recv unless taken
}

func (in *inbound) data() []byte { return in.raw[headerLen:] }

// take returns the frame in a buffer of its own, owned by the caller.
func (in *inbound) take() *frame {
	if f := in.own; f != nil {
		in.own = nil
		return f
	}
	f := newFrame(len(in.raw))
	f.b = append(f.b, in.raw...)
	return f
}

// reader is the receiving half of a channel. One goroutine at a time uses it.
//
// It reads many frames at once into a pooled buffer and gives them out in place. A frame that has not
// arrived whole gets a buffer of its own, which grows with what has arrived; for the announced length alone it
// gets no more than the peer has sent in one frame before.
// While it waits on a descriptor with no part of a frame at hand it holds no buffer at all.
type reader struct {
	conn    net.Conn
	raw     syscall.RawConn // nil: conn.Read blocks, with a buffer in hand
	tryRead func(fd uintptr) bool
	max     int // bytes of data accepted in a frame

	messages bool // each Read may be one, which must be taken whole

	buf    *frame // what was read last; nil while waiting
	unread []byte // of buf
	part   *frame // a frame arriving in its own buffer
	want   int    // part's whole length
	earned int    // the largest frame that has come whole: so much a peer gets on its word the next time
	skip   uint32 // bytes still to be dropped, of a frame that was oversized
	head   [headerLen]byte
	nhead  int     // bytes of a cut header, kept in head while there is no buf
	soon   bool    // the next frame is likely to come at once
	spin   spin    // for it
	crowd  bool    // the last read filled its buffer with small frames
	in     inbound // the frame given out last
	err    error   // of the last attempt
}

func (r *reader) init(conn net.Conn, raw syscall.RawConn, maxData int) {
	r.conn, r.raw, r.max, r.messages = conn, raw, maxData, mayBeMessages(conn)
	if raw != nil {
		r.tryRead = r.attemptRead
	}
}

// recv waits for the next frame. An EOF in mid-frame is io.ErrUnexpectedEOF.
func (r *reader) recv() (*inbound, error) {
	for {
		if in := r.buffered(); in != nil {
			return in, nil
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && (r.nhead > 0 || r.part != nil || r.skip > 0) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// recvSoon is recv for a frame that is likely to come at once.
func (r *reader) recvSoon() (*inbound, error) {
	r.soon = true
	in, err := r.recv()
	r.soon = false
	return in, err
}

// buffered returns the next frame of those already read, or nil.
func (r *reader) buffered() *inbound {
	if r.in.own != nil {
		r.in.own.free()
	}
	r.in = inbound{}
	if !r.cut(&r.in) {
		return nil
	}
	return &r.in
}

// rest lets go of the read buffer when nothing whole is left in it, so that the role of reading can change
// hands or stay empty.
func (r *reader) rest() {
	r.nhead += copy(r.head[r.nhead:], r.unread)
	r.unread = nil
	r.idle()
}

// cut takes the next frame out of what has been read.
func (r *reader) cut(in *inbound) bool {
	if r.part != nil {
		return r.cutPart(in)
	}
	r.dropSkipped()
	if len(r.unread) < headerLen {
		return false
	}
	h := parseHeader(r.unread)
	if h.length > uint32(r.max) {
		*in = inbound{header: h, oversized: true}
		r.unread, r.skip = r.unread[headerLen:], h.length
		return true
	}
	total := headerLen + int(h.length)
	if len(r.unread) < total {
		r.startPart(total)
		return false
	}
	*in = inbound{header: h, raw: r.unread[:total:total]}
	r.spin.bytes = total
	r.unread = r.unread[total:]
	return true
}

func (r *reader) cutPart(in *inbound) bool {
	if len(r.part.b) < r.want {
		return false
	}
	r.earned, r.spin.bytes = max(r.earned, r.want), r.want
	*in = inbound{header: parseHeader(r.part.b), raw: r.part.b, own: r.part}
	r.part = nil
	return true
}

func (r *reader) startPart(total int) {
	size := min(total, max(firstPart, partStep*len(r.unread), r.earned))
	if r.messages && len(r.unread) >= messageSize {
		size = total // the rest comes as one
	}
	r.part = newFrame(size)
	r.part.b = append(r.part.b, r.unread...)
	r.unread, r.want, r.crowd = nil, total, false
}

func (r *reader) dropSkipped() {
	n := min(uint64(r.skip), uint64(len(r.unread)))
	r.unread = r.unread[n:]
	r.skip -= uint32(n)
}

// fill reads once. What is unread before it is less than a header, or nothing.
func (r *reader) fill() error {
	r.nhead += copy(r.head[r.nhead:], r.unread)
	r.unread = nil
	if r.raw == nil {
		n, err := r.conn.Read(r.space())
		return r.accept(n, err)
	}
	if err := r.raw.Read(r.tryRead); err != nil {
		return err
	}
	return r.err
}

// attemptRead is one read(2), run by the runtime whenever the descriptor may be readable. Before it lets the
// runtime wait, it gives the buffer back.
func (r *reader) attemptRead(fd uintptr) bool {
	b := r.space()
	n, err := tryRead(fd, b)
	if err == errWouldBlock && r.soon {
		n, err = r.spin.read(fd, b)
	}
	if err == errWouldBlock {
		if r.soon {
			r.spin.park()
		}
		r.idle()
		return false
	}
	r.err = r.accept(n, err)
	return true
}

// idle gives the read buffer back while there is nothing to read.
func (r *reader) idle() {
	if r.buf != nil && len(r.unread) == 0 {
		r.buf.free()
		r.buf = nil
	}
}

// space is where the next bytes go.
func (r *reader) space() []byte {
	if p := r.part; p != nil {
		if len(p.b) == cap(p.b) {
			p = p.grow(min(r.want, partStep*cap(p.b)))
			r.part = p
		}
		return p.b[len(p.b):min(cap(p.b), r.want)]
	}
	if size := r.readSize(); r.buf == nil || cap(r.buf.b) != size {
		if r.buf != nil {
			r.buf.free()
		}
		r.buf = newFrame(size)
	}
	return r.buf.b[r.nhead:cap(r.buf.b)]
}

func (r *reader) readSize() int {
	if r.crowd || r.skip > 0 {
		return readLarge
	}
	return readSmall
}

// accept books n bytes that were read into space.
func (r *reader) accept(n int, err error) error {
	if n == 0 {
		if err == nil {
			return nil // a conn may do this; an attempt on a descriptor says io.EOF
		}
		return err
	}
	if p := r.part; p != nil {
		p.b = p.b[:len(p.b)+n]
		return nil
	}
	r.crowd = r.nhead+n == cap(r.buf.b)
	copy(r.buf.b[:r.nhead], r.head[:r.nhead])
	r.unread = r.buf.b[:r.nhead+n]
	r.nhead = 0
	return nil
}

// discard frees what the reader still holds, once nobody reads any more.
func (r *reader) discard() {
	r.rest()
	if r.part != nil {
		r.part.free()
		r.part = nil
	}
	if r.in.own != nil {
		r.in.own.free()
		r.in.own = nil
	}
}
