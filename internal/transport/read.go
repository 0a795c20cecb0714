package transport

import (
	"net"
	"syscall"

	"github.com/containerd/ttrpc/internal/wire"
)

const (
	readSmall = 8 << 10   // bytes asked for at a time
	readLarge = 32 << 10  // the same once small frames come many at once
	firstPart = 64 << 10  // what a larger frame gets before more of it has arrived
	partStep  = 4         // by what its buffer grows then
	maxLikely = 128 << 10 // of a frame whose like is read into a buffer of its own at once
)

// messageSize is up to how many bytes peers write, and expect, a frame in one piece where the conn
// is made of messages. A larger frame comes in two, the first of them of that size.
const messageSize = 4 << 10

// reader is the receiving half. One goroutine at a time uses it, the one in the gate; the loop, in
// Recv, uses what is its own outside of it, too.
//
// It reads many frames at once into a pooled buffer and gives them out in place. A frame that has
// not arrived whole gets a buffer of its own, which grows with what has arrived; for the announced
// length alone it gets no more than the peer has sent in one frame before. After such a frame it
// reads for another one of that size, which then takes one read and no copy. While it waits on a
// descriptor with no part of a frame at hand it holds no buffer at all.
type reader struct {
	conn  net.Conn
	kind  connKind
	raw   syscall.RawConn          // nil: conn.Read blocks, with a buffer in hand
	max   int                      // bytes of data accepted in a frame
	first func(first []byte) error // Config.First; nil once a header has come

	// What has been read. A frame that has not come whole is cut in head, in part, or skipped.
	buf         *wire.Frame          // what was read last; nil while waiting
	unread      []byte               // of buf
	size        int                  // of the next buf: larger while reads fill theirs
	likely      int                  // of the next frame, as of the one before; 0: not known
	likelyLimit int                  // of likely: larger frames take several reads anyway
	head        [wire.HeaderLen]byte // of a cut header, while there is no buf
	nhead       int                  // how many bytes of that have come
	part        *wire.Frame          // a frame arriving in its own buffer
	want        int                  // part's whole length
	earned      int                  // for so much a frame gets a buffer at once: one has come
	skip        uint32               // bytes still to be dropped, of a frame that was oversized

	// What came of it.
	in      Inbound // the frame given out last
	frames  int     // given out since the last read
	finds   uint    // attempts that have found something, be it a failure
	recvErr error   // what reading has ended with
	batch   *batching
	spin    spin

	// The loop's own.
	gate    Gate                  // of its Recv
	outside Gate                  // the same while it is outside, in the poller; else nil
	poll    func(fd uintptr) bool // tryPolled
}

func (r *reader) init(conn net.Conn, kind connKind, raw syscall.RawConn, c Config) {
	r.conn, r.kind, r.raw, r.max, r.first = conn, kind, raw, c.MaxData, c.First
	r.size = readSmall
	if raw != nil { // or else a buffer for the next one would be kept while nothing comes
		r.likelyLimit = maxLikely
	}
	r.poll = r.tryPolled
	r.spin.init(r)
}

// Silent reports whether the peer has never sent anything, to one who is in the gate.
func (r *reader) Silent() bool { return r.first != nil && r.nhead == 0 }

// nextBuffer is where the next bytes go.
func (r *reader) nextBuffer() []byte {
	if p := r.part; p != nil {
		if p.Len() == p.Cap() {
			p = p.Grow(min(r.want, partStep*p.Cap()))
			r.part = p
		}
		return p.Bytes()[p.Len():min(p.Cap(), r.want)]
	}
	if r.likely > 0 {
		return r.likelyBuffer()
	}
	size := r.size
	if r.skip > 0 {
		size = readLarge
	}
	if r.buf == nil || r.buf.Cap() != size {
		if r.buf != nil {
			r.buf.Free()
		}
		r.buf = wire.NewFrame(size)
	}
	return r.buf.Bytes()[r.nhead:r.buf.Cap()]
}

// likelyBuffer is where a frame as large as the one before it goes, and nothing behind it.
func (r *reader) likelyBuffer() []byte {
	if r.buf != nil && r.buf.Cap() < r.likely {
		r.buf.Free()
		r.buf = nil
	}
	if r.buf == nil {
		r.buf = wire.NewFrame(r.likely)
	}
	return r.buf.Bytes()[r.nhead:r.likely]
}

// accept books n bytes that were read into nextBuffer. It returns what reading has ended with: err,
// which may come beside the last bytes, or that they are not what a peer begins with.
func (r *reader) accept(n int, err error) error {
	if n == 0 {
		return err // nil too: a conn may do this; an attempt on a descriptor says io.EOF
	}
	r.spin.came()
	if p := r.part; p != nil {
		p.SetBytes(p.Bytes()[:p.Len()+n])
		return err
	}
	if r.frames > 0 {
		r.batch.count(r.frames)
		r.frames = 0
	}
	b := r.buf.Bytes()[:r.nhead+n]
	r.likely, r.size = 0, readSmall
	if len(b) == cap(b) {
		r.size = readLarge
	}
	copy(b, r.head[:r.nhead])
	r.unread, r.nhead = b, 0
	if refused := r.checkFirst(); refused != nil {
		r.unread = nil // no frames
		return refused
	}
	return err
}

// checkFirst looks at what has been read while that is the first of the peer's bytes.
func (r *reader) checkFirst() error {
	first := r.first
	if first == nil {
		return nil
	}
	if len(r.unread) >= wire.HeaderLen {
		r.first = nil
	}
	return first(r.unread)
}

// ReleaseBuffer lets go of the read buffer when nothing whole is left in it, so that another one
// can read.
func (r *reader) ReleaseBuffer() {
	r.keepHead()
	r.freeBuffer()
}

// keepHead keeps what is left of the buffer, which is less than a header, outside of it.
func (r *reader) keepHead() {
	r.nhead += copy(r.head[r.nhead:], r.unread)
	r.unread = nil
}

// freeBuffer gives the read buffer back while there is nothing to read.
func (r *reader) freeBuffer() {
	if r.buf != nil && len(r.unread) == 0 {
		r.buf.Free()
		r.buf = nil
	}
}

// Discard frees what the reader still holds, once nobody reads any more.
func (r *reader) Discard() {
	r.ReleaseBuffer()
	r.in.drop()
	if r.part != nil {
		r.part.Free()
		r.part = nil
	}
}
