package frames

import (
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Reader says how a connection is read.
type Reader func(net.Conn) io.Reader

// Sleeping reads as all programs do: whoever waits is parked until the system wakes it.
func Sleeping(conn net.Conn) io.Reader { return conn }

// The times are those of internal/transport/spin.go.
const (
	spinTime = 40 * time.Microsecond  // of one wait
	wakeTime = 100 * time.Microsecond // more of it after one in vain
)

// spinning: one goroutine of the process does.
var spinning atomic.Bool

// Spinning asks the socket for some microseconds before it parks.
func Spinning(conn net.Conn) io.Reader {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		panic(err) // a socket has one
	}
	s := &spinner{Conn: conn, raw: raw}
	s.ask = func(fd uintptr) { s.askUntilFound(int(fd)) }
	return s
}

// spinner is used by one goroutine at a time.
type spinner struct {
	net.Conn
	raw   syscall.RawConn
	ask   func(fd uintptr)
	buf   []byte        // where to read to
	n     int           // what has been read
	grace time.Duration // what the next wait may take longer
}

func (s *spinner) Read(buf []byte) (int, error) {
	if !spinning.CompareAndSwap(false, true) {
		return s.Conn.Read(buf)
	}
	s.buf, s.n = buf, 0
	err := s.raw.Control(s.ask)
	spinning.Store(false)
	if s.n > 0 || err != nil {
		s.grace = 0
		return s.n, err
	}
	s.grace = wakeTime
	return s.Conn.Read(buf)
}

// askUntilFound leaves errors, and the end, to the read that parks.
func (s *spinner) askUntilFound(fd int) {
	for end := time.Now().Add(spinTime + s.grace); time.Now().Before(end); {
		if n, err := syscall.Read(fd, s.buf); err == nil {
			s.n = n
			return
		} else if err != syscall.EAGAIN && err != syscall.EINTR {
			return
		}
	}
}
