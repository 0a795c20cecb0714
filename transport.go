package ttrpc

import (
	"net"
	"syscall"
)

// rawConn returns the descriptor behind a conn, or nil. Only for the types of package net itself: a type that
// wraps one of them has its SyscallConn too, but wants its own Read and Write to be called.
func rawConn(conn net.Conn) syscall.RawConn {
	if !canTryIO {
		return nil
	}
	var raw syscall.RawConn
	switch c := conn.(type) {
	case *net.UnixConn:
		if c.LocalAddr().Network() == "unix" { // not unixpacket: its reads are whole packets
			raw, _ = c.SyscallConn()
		}
	case *net.TCPConn:
		raw, _ = c.SyscallConn()
	}
	return raw
}

type halfCloser interface{ CloseWrite() error }

// overTCP returns a conn that is TCP, or TLS on something, and nil for others: a unix socket loses nothing, and what CloseWrite
// and deadlines do in a conn of the user's is not known.
func overTCP(conn net.Conn) halfCloser {
	switch c := conn.(type) {
	case *net.TCPConn:
		return c
	case interface {
		halfCloser
		NetConn() net.Conn
	}:
		return c
	}
	return nil
}

// Some conns of users are made of messages: a Write arrives as one, and a Read with too little room for it fails, as in the
// multiplexer of NRI. The original's peers write, and expect, a frame of up to messageSize bytes in one piece, and a
// larger one in two, the first of them of that size.
const messageSize = 4 << 10

// mayBeMessages reports whether a conn can be such a one: neither a socket, except a unixpacket one, nor TLS.
func mayBeMessages(conn net.Conn) bool {
	if _, unix := conn.(*net.UnixConn); unix {
		return conn.LocalAddr().Network() == "unixpacket"
	}
	_, socket := conn.(syscall.Conn)
	return !socket && overTCP(conn) == nil
}

// writeMessages writes whole frames, small ones together.
func writeMessages(conn net.Conn, b []byte) error {
	for len(b) > 0 {
		n := framesWithin(b, messageSize)
		if n == 0 {
			if _, err := conn.Write(b[:messageSize]); err != nil {
				return err
			}
			b, n = b[messageSize:], frameLen(b)-messageSize
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// framesWithin is the length of the whole frames at the head of b that have room in limit bytes.
func framesWithin(b []byte, limit int) int {
	n := 0
	for n < len(b) && n+frameLen(b[n:]) <= limit {
		n += frameLen(b[n:])
	}
	return n
}

// frameLen is the length of the frame at the head of b, of our own making.
func frameLen(b []byte) int { return headerLen + int(parseHeader(b).length) }
