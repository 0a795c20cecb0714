package transport

import "io"

// Gate lets one reader in at a time. Recv, whose caller is inside, leaves it while it waits in the
// poller, and is inside again when it returns. TryEnter fails while another one is inside, who
// looks then whether something has come: Recv goes on waiting.
type Gate interface {
	TryEnter() bool
	Enter()
	Leave()
}

// Recv waits for the next frame. An EOF in mid-frame is io.ErrUnexpectedEOF. inside says that the
// caller, who is the loop, is in the gate; it is when Recv returns.
func (r *reader) Recv(gate Gate, inside bool) (*Inbound, error) {
	if !inside {
		r.recvErr = r.fill(gate, false)
	}
	for {
		if in := r.Buffered(); in != nil {
			return in, nil
		}
		if r.recvErr != nil {
			return nil, r.end(r.recvErr)
		}
		r.keepHead()
		r.recvErr = r.fill(gate, true)
	}
}

// TryRecv is Recv for one who is in the gate while the loop is in the poller: it asks the
// descriptor for a short time, and returns nil when nothing has come, or an error: see RecvErr.
func (r *reader) TryRecv() *Inbound {
	for {
		if in := r.Buffered(); in != nil || !r.mayAsk() {
			return in
		}
		if !asking.mayAsk(spinning.Load()) || !r.spin.fill() {
			r.ReleaseBuffer()
			return nil
		}
		asking.found()
	}
}

// TryRecvNow is TryRecv that does not wait: nil says that the descriptor has nothing more,
// or has failed.
func (r *reader) TryRecvNow() *Inbound {
	for {
		if in := r.Buffered(); in != nil || !r.mayAsk() {
			return in
		}
		if !r.spin.ask() {
			r.ReleaseBuffer()
			return nil
		}
	}
}

// mayAsk reports whether the descriptor can be asked for more, and gets ready for that.
func (r *reader) mayAsk() bool {
	if r.recvErr != nil || r.raw == nil {
		return false
	}
	r.keepHead()
	return true
}

// RecvErr is what reading has ended with, or nil, to one who is in the gate.
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
	if err == io.EOF && (r.nhead > 0 || len(r.unread) > 0 || r.part != nil || r.skip > 0) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads once, and waits for that. What is unread before it is less than a header,
// and kept in head.
func (r *reader) fill(gate Gate, inside bool) error {
	if r.raw == nil {
		if !inside {
			gate.Enter()
		}
		n, err := r.conn.Read(r.nextBuffer())
		return r.accept(n, err)
	}
	r.gate, r.outside = gate, nil
	if !inside {
		r.outside = gate
	}
	err := r.raw.Read(r.poll)
	if r.outside != nil { // the waiting itself has failed
		r.outside = nil
		gate.Enter()
	}
	if r.recvErr != nil { // by an attempt, perhaps another one's
		return r.recvErr
	}
	return err
}

// tryPolled is one read(2), run by the runtime whenever the descriptor may be readable. Before it
// has the runtime wait, it gives the buffer back and leaves the gate:
// another one may read meanwhile.
func (r *reader) tryPolled(fd uintptr) bool {
	if r.outside != nil && !r.outside.TryEnter() {
		return false
	}
	r.outside = nil
	if r.recvErr != nil || r.try(fd) {
		return true
	}
	r.freeBuffer()
	r.outside = r.gate
	r.gate.Leave()
	return false
}

// try is one attempt: it reports whether there is something, be it a failure.
func (r *reader) try(fd uintptr) bool {
	n, err := tryRead(fd, r.nextBuffer())
	if err == errWouldBlock {
		return false
	}
	r.finds++
	r.recvErr = r.accept(n, err)
	return true
}
