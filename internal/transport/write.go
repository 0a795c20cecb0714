package transport

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/containerd/ttrpc/internal/wire"
)

// attempt is one write: on a descriptor of what fits at once, on any other conn of all of it. It is
// used by the one who writes the backlog.
type attempt struct {
	conn net.Conn
	kind connKind
	raw  syscall.RawConn // nil: writes go through conn and block

	once, toEnd func(fd uintptr) bool // tryOnce and tryToEnd, for raw
	growSndbuf  func(fd uintptr)      // called once, for a large frame that does not fit; then nil

	inPart atomic.Uint64 // bytes that were written in part, ever

	size int    // of what is to be written
	b    []byte // what is left of it
	err  error  // what the descriptor has answered last
}

func (a *attempt) init(conn net.Conn, kind connKind, raw syscall.RawConn) {
	a.conn, a.kind, a.raw = conn, kind, raw
	if raw != nil {
		a.once, a.toEnd = a.tryOnce, a.tryToEnd
	}
	if kind == kindUnix {
		a.growSndbuf = growSndbuf
	}
}

// immediate reports whether write never blocks.
func (a *attempt) immediate() bool { return a.raw != nil }

// write writes what fits at once, and returns how much that is.
func (a *attempt) write(b []byte) (int, error) {
	if a.raw == nil {
		return len(b), a.writeConn(b)
	}
	return a.writeRaw(b, a.once)
}

// writeAll blocks until all is written.
func (a *attempt) writeAll(b []byte) error {
	if a.raw == nil {
		return a.writeConn(b)
	}
	_, err := a.writeRaw(b, a.toEnd)
	return err
}

// writeRaw has the runtime call try, and again whenever there is space, until it returns true. (A
// net.Conn's own Write would block in the kernel, and the Close that is to end it with it, where
// somebody has made the descriptor block.)
func (a *attempt) writeRaw(b []byte, try func(fd uintptr) bool) (int, error) {
	a.b, a.size, a.err = b, len(b), nil
	err := a.raw.Write(try)
	n := len(b) - len(a.b)
	a.b = nil
	if err != nil {
		return n, err
	}
	return n, a.err
}

// tryOnce writes what fits, and never has the runtime wait.
func (a *attempt) tryOnce(fd uintptr) bool {
	a.try(fd)
	if len(a.b) > 0 && a.err == nil && a.enlarge(fd) {
		a.try(fd)
	}
	return true
}

// tryToEnd writes until all is written, and has the runtime wait whenever nothing more fits.
func (a *attempt) tryToEnd(fd uintptr) bool {
	for len(a.b) > 0 && a.err == nil {
		n := a.try(fd)
		if n == 0 && a.err == nil && !a.enlarge(fd) {
			return false
		}
		a.inPart.Add(uint64(n))
	}
	return true
}

// try is one write(2), and returns how much of b it has taken.
func (a *attempt) try(fd uintptr) (n int) {
	n, a.err = tryWrite(fd, a.b)
	a.b = a.b[n:]
	return n
}

// enlarge gives a full socket a larger send buffer, once, and reports whether it did: for large
// frames alone. Many small ones would only wait in there instead of here, before those of others.
func (a *attempt) enlarge(fd uintptr) bool {
	if a.growSndbuf == nil || a.size <= wire.SharedFrame {
		return false
	}
	a.growSndbuf(fd)
	a.growSndbuf = nil
	return true
}

// writeConn writes through the conn's own Write: where each may be a message, in pieces of the size
// that peers expect.
func (a *attempt) writeConn(b []byte) error {
	if a.kind != kindMessages {
		return a.writePieces(b)
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

// writePiece is how much one Write of a conn without a descriptor is given, so that one sees large
// buffers go.
const writePiece = 64 << 10

func (a *attempt) writePieces(b []byte) error {
	for len(b) > writePiece {
		if err := writeFull(a.conn, b[:writePiece]); err != nil {
			return err
		}
		a.inPart.Add(writePiece)
		b = b[writePiece:]
	}
	return writeFull(a.conn, b)
}

// writeFull makes a write that is short without an error one: what follows would be taken for the
// rest. A conn that encrypts may count more than it was given.
func writeFull(conn net.Conn, b []byte) error {
	n, err := conn.Write(b)
	if err == nil && n < len(b) {
		return io.ErrShortWrite
	}
	return err
}
