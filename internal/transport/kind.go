package transport

import (
	"net"
	"syscall"
)

// connKind is what a conn is, as far as reading and writing differ. It never changes.
type connKind uint8

const (
	kindBytes    connKind = iota // a stream of bytes by the conn's own methods, which block, as TLS
	kindMessages                 // the same, but what one Write sends one Read may have to take whole
	kindSocket                   // a descriptor that is read and written directly, as of TCP
	kindUnix                     // the same, with a send buffer that does not grow by itself
)

// kindOf looks at the conn's type, and at the socket behind it. raw is nil for conns whose own
// methods are used. Only the types of package net are read and written directly: one that wraps
// them has its SyscallConn too, but wants its own Read and Write to be called.
func kindOf(conn net.Conn) (kind connKind, raw syscall.RawConn) {
	switch c := conn.(type) {
	case *net.UnixConn:
		return socketKind(c, kindUnix)
	case *net.TCPConn:
		return socketKind(c, kindSocket)
	}
	if mayBeMessages(conn) {
		return kindMessages, nil
	}
	return kindBytes, nil
}

// socketKind leaves the descriptor out where it is no stream, and where one read or write can't be
// tried without blocking.
func socketKind(c syscall.Conn, kind connKind) (connKind, syscall.RawConn) {
	raw, err := c.SyscallConn()
	switch {
	case err != nil || kind == kindUnix && !isStream(raw):
		return kindMessages, nil
	case !canTryIO:
		return kindBytes, nil
	}
	return kind, raw
}

// mayBeMessages reports whether a conn of a user's can be made of messages, as the multiplexer of
// NRI is: it is neither a socket of bytes nor TLS. What a socket is,
// its descriptor says and not its methods.
func mayBeMessages(conn net.Conn) bool {
	if c, ok := conn.(syscall.Conn); ok {
		raw, err := c.SyscallConn()
		return err != nil || !isStream(raw)
	}
	return halfCloserOf(conn) == nil
}

// halfCloser is a conn that can be closed for writing alone.
type halfCloser interface{ CloseWrite() error }

// halfCloserOf returns a conn that is TCP, or TLS on something, and nil for others: a unix socket
// loses nothing when it is closed, and what CloseWrite does in a conn of the user's is not known.
func halfCloserOf(conn net.Conn) halfCloser {
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
