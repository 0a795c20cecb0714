//go:build go1.25

package transport

import (
	"net"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
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
	unix, _ := testkit.Pair(t, "unix")
	tcp, _ := testkit.Pair(t, "tcp")
	pipe, _ := testkit.Pair(t, "pipe")
	for name, test := range map[string]struct {
		conn   net.Conn
		kind   connKind
		closer bool
	}{
		"unix":               {unix, kindUnix, false},
		"tcp":                {tcp, kindSocket, true},
		"pipe":               {pipe, kindMessages, false},
		"wrapped unix":       {wrappedConn{unix}, kindMessages, false},
		"unix in a struct":   {pairedConn{unix.(*net.UnixConn)}, kindBytes, false},
		"TLS":                {tlsLike{tcp}, kindBytes, true},
		"half-closing conn":  {halfOnly{tcp}, kindMessages, false},
		"closed unix":        {closedConn(t, "unix"), kindUnix, false},
		"closed tcp":         {closedConn(t, "tcp"), kindSocket, true},
		"unconnected struct": {new(net.UnixConn), kindMessages, false},
	} {
		want := test.kind
		if !canTryIO && want >= kindSocket {
			want = kindBytes
		}
		kind, raw := kindOf(test.conn)
		if kind != want || (raw != nil) != (want >= kindSocket) {
			t.Errorf("%s: kind %d, descriptor %v, want kind %d", name, kind, raw != nil, want)
		}
		testkit.Equal(t, halfCloserOf(test.conn) != nil, test.closer)
	}
}

// closedConn is a conn whose descriptor is gone: reading it says so.
func closedConn(t *testing.T, network string) net.Conn {
	a, _ := testkit.Pair(t, network)
	testkit.Check(t, a.Close())
	return a
}
