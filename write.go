package ttrpc

import (
	"net"
	"syscall"
)

// writeAttempt is one write: on a descriptor what fits at once, on any other conn all of it.
type writeAttempt struct {
	conn net.Conn
	raw  syscall.RawConn // nil: writes go through conn and block
	try  func(fd uintptr) bool

	narrow   bool // a unix socket that has never been full with a large frame
	messages bool // each Write may arrive as a message

	whole bool // all of b is to be written, however long that takes
	b     []byte
	n     int // of b, written when it is not
	err   error
}

func (a *writeAttempt) init(conn net.Conn, raw syscall.RawConn) {
	a.conn, a.raw, a.messages = conn, raw, mayBeMessages(conn)
	if raw != nil {
		a.try = a.attempt
		_, a.narrow = conn.(*net.UnixConn) // the buffers of TCP grow by themselves
	}
}

// attempt is one write(2), or a second one after the socket has been given more room, which is for large frames alone:
// many small ones would only wait in there instead of here, before those of others.
func (a *writeAttempt) attempt(fd uintptr) bool {
	if a.whole {
		return a.attemptAll(fd)
	}
	a.n, a.err = tryWrite(fd, a.b)
	if a.narrow && a.err == nil && a.n < len(a.b) && len(a.b) > sharedFrame {
		a.narrow = false
		widen(fd)
		var n int
		n, a.err = tryWrite(fd, a.b[a.n:])
		a.n += n
	}
	return true
}

// attemptAll writes as much as it can, and reports whether that is all, or it has failed. The runtime calls it again when there is
// space. (A net.Conn's own Write would block in the kernel, and the Close that is to end it with it, where somebody has made the
// descriptor block.)
func (a *writeAttempt) attemptAll(fd uintptr) bool {
	for len(a.b) > 0 {
		n, err := tryWrite(fd, a.b)
		a.b = a.b[n:]
		switch {
		case err != nil:
			a.err = err
			return true
		case n == 0:
			return false
		}
	}
	return true
}

// immediate reports whether write never blocks.
func (a *writeAttempt) immediate() bool { return a.raw != nil }

// writeAll blocks until all is written.
func (a *writeAttempt) writeAll(b []byte) error {
	switch {
	case a.messages:
		return writeMessages(a.conn, b)
	case a.raw == nil:
		_, err := a.conn.Write(b)
		return err
	}
	a.b, a.err, a.whole = b, nil, true
	err := a.raw.Write(a.try)
	a.b, a.whole = nil, false
	if err != nil {
		return err
	}
	return a.err
}

func (a *writeAttempt) write(b []byte) (int, error) {
	if a.raw == nil {
		return len(b), a.writeAll(b)
	}
	a.b = b
	err := a.raw.Write(a.try)
	a.b = nil
	if err != nil {
		return 0, err
	}
	return a.n, a.err
}
