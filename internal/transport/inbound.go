package transport

import "github.com/containerd/ttrpc/internal/wire"

// Inbound is a received frame. Its bytes belong to the reader and are gone with the next one; Take
// makes them the caller's. It is plain data.
type Inbound struct {
	wire.Header
	Raw []byte // header and data; nil for a frame over the limit, whose data is dropped as it comes

	// The buffer of Raw, where that holds this frame alone; freed by the next one unless taken.
	own *wire.Frame
}

// Oversized reports whether the frame is over the limit: it is a header alone.
func (in *Inbound) Oversized() bool { return in.Raw == nil }

// Data is what stands behind the header of a frame that is not over the limit.
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

// drop frees the buffer of a frame that has not been taken.
func (in *Inbound) drop() {
	if in.own != nil {
		in.own.Free()
	}
	*in = Inbound{}
}

// Buffered returns the next frame of those already read, or nil.
func (r *reader) Buffered() *Inbound {
	r.in.drop()
	if !r.cut(&r.in) {
		return nil
	}
	r.frames++
	return &r.in
}

// HasUnread reports whether bytes of a further frame have been read.
func (r *reader) HasUnread() bool { return len(r.unread) > 0 }

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
		in.Header = h
		r.unread, r.skip = r.unread[wire.HeaderLen:], h.Length
		return true
	}
	total := wire.HeaderLen + int(h.Length)
	if len(r.unread) < total {
		r.startPart(total)
		return false
	}
	in.Header, in.Raw = h, r.unread[:total:total]
	r.spin.bytes = total
	if total == len(r.unread) && r.mayOwn(total) {
		in.own = r.acquireBuffer()
		r.expect(total)
		return true
	}
	r.unread = r.unread[total:]
	return true
}

// mayOwn reports whether a frame of so many bytes, with which unread begins, may have the buffer:
// that is one of likelyBuffer, nothing was before it there, and it is not much too large.
func (r *reader) mayOwn(total int) bool {
	room := r.buf.Cap()
	return room > readLarge && cap(r.unread) == room && total <= room && total > room/2
}

// acquireBuffer returns the buffer of a frame that is alone in it, with all that was read.
func (r *reader) acquireBuffer() *wire.Frame {
	f := r.buf
	f.SetBytes(r.unread)
	r.buf, r.unread = nil, nil
	return f
}

// expect says that a frame of so many bytes has come alone: the next one is read for accordingly.
func (r *reader) expect(total int) {
	if total > readLarge && total <= r.likelyLimit {
		r.likely = total
	}
}

// cutPart is cut for a frame that has a buffer of its own.
func (r *reader) cutPart(in *Inbound) bool {
	if r.part.Len() < r.want {
		return false
	}
	r.earned, r.spin.bytes = max(r.earned, r.want), r.want
	r.expect(r.want)
	*in = Inbound{Header: wire.ParseHeader(r.part.Bytes()), Raw: r.part.Bytes(), own: r.part}
	r.part = nil
	return true
}

// startPart gives a frame that has not arrived whole a buffer of its own.
func (r *reader) startPart(total int) {
	size := min(total, max(firstPart, partStep*len(r.unread), r.earned))
	if r.kind == kindMessages && len(r.unread) >= messageSize {
		size = total // the rest comes as one
	}
	if r.mayOwn(total) {
		r.part = r.acquireBuffer()
	} else {
		r.part = wire.NewFrame(size)
		r.part.Append(r.unread)
	}
	r.unread, r.want, r.size = nil, total, readSmall
}

// dropSkipped drops what has been read of an oversized frame.
func (r *reader) dropSkipped() {
	n := min(uint64(r.skip), uint64(len(r.unread)))
	r.unread = r.unread[n:]
	r.skip -= uint32(n)
}
