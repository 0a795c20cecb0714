package transport

import (
	"io"
	"net"
	"syscall"

	"github.com/containerd/ttrpc/internal/wire"
)

// attempt is one write: on a descriptor of what fits at once, on any other conn of all of it.
type attempt struct {
	conn net.Conn
	raw  syscall.RawConn // nil: writes go through conn and block
	poll func(fd uintptr) bool

	smallSndbuf bool // a unix socket that has never been full with a large frame
	messages    bool // each Write may arrive as a message

	size  int    // of what is to be written
	b     []byte // what is left of it
	whole bool   // all of b is to be written, however long that takes
	err   error
}

func (a *attempt) init(conn net.Conn, k kind) {
	a.conn, a.raw, a.messages, a.smallSndbuf = conn, k.raw, k.messages, k.unix
	a.poll = a.attemptPolled
}

// immediate reports whether write never blocks.
func (a *attempt) immediate() bool { return a.raw != nil }

// write writes what fits at once, and returns how much that is.
func (a *attempt) write(b []byte) (int, error) { return a.run(b, false) }

// writeAll blocks until all is written.
func (a *attempt) writeAll(b []byte) error {
	_, err := a.run(b, true)
	return err
}

func (a *attempt) run(b []byte, whole bool) (int, error) {
	if a.raw == nil {
		return len(b), a.writeConn(b)
	}
	a.b, a.size, a.whole, a.err = b, len(b), whole, nil
	err := a.raw.Write(a.poll)
	n := len(b) - len(a.b)
	a.b = nil
	if err != nil {
		return n, err
	}
	return n, a.err
}

// attemptPolled writes, and reports whether that is all, or the attempt is over; the runtime calls
// it again when there is space. (A net.Conn's own Write would block in the kernel, and the Close
// that is to end it with it, where somebody has made the descriptor block.)
func (a *attempt) attemptPolled(fd uintptr) bool {
	for len(a.b) > 0 {
		n, err := tryWrite(fd, a.b)
		a.b = a.b[n:]
		if err != nil {
			a.err = err
			return true
		}
		if len(a.b) == 0 || n > 0 && a.whole || a.growSndbuf(fd) {
			continue
		}
		return !a.whole
	}
	return true
}

// growSndbuf gives the socket more room, once, and reports whether it did: for large frames alone.
// Many small ones would only wait in there instead of here, before those of others.
func (a *attempt) growSndbuf(fd uintptr) bool {
	if !a.smallSndbuf || a.size <= wire.SharedFrame {
		return false
	}
	a.smallSndbuf = false
	growSndbuf(fd)
	return true
}

// writeConn writes through the conn's own Write.
func (a *attempt) writeConn(b []byte) error {
	if !a.messages {
		return writeFull(a.conn, b)
	}
	for len(b) > 0 {
		n := wire.FramesWithin(b, messageSize)
		if n == 0 {
			n = wire.FrameLen(b)
			if err := writeFull(a.conn, b[:messageSize]); err != nil {
				return err
			}
			b, n = b[messageSize:], n-messageSize
		}
		if err := writeFull(a.conn, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// writeFull makes a write that is short without an error one:
// what follows would be taken for the rest.
func writeFull(conn net.Conn, b []byte) error {
	n, err := conn.Write(b)
	if err == nil && n != len(b) {
		return io.ErrShortWrite
	}
	return err
}
