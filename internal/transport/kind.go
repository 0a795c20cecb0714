package transport

import (
	"net"
	"syscall"
)

// kind is what a conn is, as far as reading and writing differ.
type kind struct {
	raw      syscall.RawConn // the descriptor, to be used directly; nil for conn's own methods
	unix     bool            // a unix socket, whose buffers do not grow by themselves
	messages bool            // each Read and Write may be a message, which is taken whole or lost
}

// kindOf looks at the conn's type, and at the socket behind it. Only the types of package net are
// read and written directly: one that wraps them has its SyscallConn too,
// but wants its own Read and Write to be called.
func kindOf(conn net.Conn) kind {
	switch c := conn.(type) {
	case *net.UnixConn:
		raw, err := c.SyscallConn()
		if err != nil || !isStream(raw) {
			return kind{messages: true}
		}
		return direct(kind{raw: raw, unix: true})
	case *net.TCPConn:
		raw, err := c.SyscallConn()
		if err != nil {
			return kind{}
		}
		return direct(kind{raw: raw})
	}
	return kind{messages: mayBeMessages(conn)}
}

// direct leaves the descriptor out where one read or write can't be tried without blocking.
func direct(k kind) kind {
	if !canTryIO {
		k.raw = nil
	}
	return k
}

// mayBeMessages reports whether a conn of a user's can be made of messages, as the multiplexer of
// NRI is: it is neither a socket of bytes nor TLS. What a socket is,
// its descriptor says and not its methods.
func mayBeMessages(conn net.Conn) bool {
	if c, ok := conn.(syscall.Conn); ok {
		raw, err := c.SyscallConn()
		return err != nil || !isStream(raw)
	}
	return HalfCloser(conn) == nil
}

// HalfCloser returns a conn that is TCP, or TLS on something, and nil for others: a unix socket
// loses nothing when it is closed, and what CloseWrite and deadlines do in a conn of the user's is
// not known.
func HalfCloser(conn net.Conn) interface{ CloseWrite() error } {
	switch c := conn.(type) {
	case *net.TCPConn:
		return c
	case interface {
		CloseWrite() error
		NetConn() net.Conn
	}:
		return c
	}
	return nil
}

// IsDescriptor reports whether conn is one of package net's sockets,
// whose Close does not wait for anybody.
func IsDescriptor(conn net.Conn) bool { return kindOf(conn).raw != nil }
