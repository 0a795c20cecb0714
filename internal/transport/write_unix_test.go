//go:build unix && go1.25

package transport

import (
	"net"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

func sendBuffer(t *testing.T, conn net.Conn) (size int) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	testkit.Check(t, err)
	testkit.Check(t, raw.Control(func(fd uintptr) {
		size, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
	}))
	testkit.Check(t, err)
	return size
}

// A unix socket gets a larger buffer when a large frame does not fit, unless its owner has given it
// one.
func TestFullSocketGetsALargerBuffer(t *testing.T) {
	small, _ := testkit.Pair(t, "unix")
	tcp, _ := testkit.Pair(t, "tcp")
	if sendBuffer(t, small) != defaultSndbuf {
		t.Skip("this system has its own idea of buffers")
	}
	write := func(conn net.Conn, size int) {
		var a attempt
		kind, raw := kindOf(conn)
		a.init(conn, kind, raw)
		_, err := a.write(make([]byte, size))
		testkit.Check(t, err)
	}
	before := sendBuffer(t, small)
	for range 100 {
		write(small, wire.SharedFrame)
	}
	testkit.Equal(t, sendBuffer(t, small), before)
	write(small, 64<<20)
	if after := sendBuffer(t, small); after < largeSndbuf && after <= before {
		t.Errorf("%d bytes before it was full, %d after", before, after)
	}
	for _, chosen := range []int{32 << 10, 2 * largeSndbuf} {
		own, _ := testkit.Pair(t, "unix")
		testkit.Check(t, own.(*net.UnixConn).SetWriteBuffer(chosen))
		before := sendBuffer(t, own)
		write(own, 64<<20)
		testkit.Equal(t, sendBuffer(t, own), before)
	}
	free := sendBuffer(t, tcp)
	write(tcp, 100)
	testkit.Equal(t, sendBuffer(t, tcp), free)
}
