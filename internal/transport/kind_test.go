//go:build go1.25

package transport

import (
	"net"
	"testing"
)

// wrappedConn is a net.Conn of no type that the package knows.
type wrappedConn struct{ net.Conn }

// pairedConn is one with its own idea of what a Write is:
// it has all methods of the socket that it wraps.
type pairedConn struct{ *net.UnixConn }

// tlsLike has what tells TLS from other conns.
type tlsLike struct{ net.Conn }

func (c tlsLike) CloseWrite() error { return nil }
func (c tlsLike) NetConn() net.Conn { return c.Conn }

// halfOnly is a conn of a user's, whose CloseWrite may do anything.
type halfOnly struct{ net.Conn }

func (c halfOnly) CloseWrite() error { panic("called") }

func TestKindOf(t *testing.T) {
	unix, _ := pair(t, "unix")
	tcp, _ := pair(t, "tcp")
	pipe, _ := pair(t, "pipe")
	for name, test := range map[string]struct {
		conn                           net.Conn
		direct, unix, messages, closer bool
	}{
		"unix":               {conn: unix, direct: true, unix: true},
		"tcp":                {conn: tcp, direct: true, closer: true},
		"pipe":               {conn: pipe, messages: true},
		"wrapped unix":       {conn: wrappedConn{unix}, messages: true},
		"unix in a struct":   {conn: pairedConn{unix.(*net.UnixConn)}},
		"TLS":                {conn: tlsLike{tcp}, closer: true},
		"half-closing conn":  {conn: halfOnly{tcp}, messages: true},
		"closed unix":        {conn: closedConn(t, "unix"), direct: true, unix: true},
		"closed tcp":         {conn: closedConn(t, "tcp"), direct: true, closer: true},
		"unconnected struct": {conn: new(net.UnixConn), messages: true},
	} {
		k := kindOf(test.conn)
		got := [4]bool{k.raw != nil, k.unix, k.messages, HalfCloser(test.conn) != nil}
		if want := [4]bool{test.direct && canTryIO, test.unix, test.messages, test.closer}; got != want {
			t.Errorf("%s: direct, unix, messages, half-closer are %v, want %v", name, got, want)
		}
		equal(t, IsDescriptor(test.conn), test.direct && canTryIO)
	}
}

// closedConn is a conn whose descriptor is gone: reading it says so.
func closedConn(t *testing.T, network string) net.Conn {
	a, _ := pair(t, network)
	check(t, a.Close())
	return a
}
