//go:build go1.25

package transport

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// What a socket is, its descriptor says, whatever it is wrapped in:
// with unixpacket each write is a message.
func TestKindOfUnixpacket(t *testing.T) {
	a, _ := testkit.Pair(t, "unixpacket")
	for name, conn := range map[string]net.Conn{
		"itself": a, "in a struct": pairedConn{a.(*net.UnixConn)}, "hidden": wrappedConn{a},
	} {
		if kind, raw := kindOf(conn); kind != kindMessages || raw != nil {
			t.Errorf("%s: kind %d, descriptor %v", name, kind, raw)
		}
	}
}

// Frames that the backlog has joined leave in messages that peers have room for: whole frames up to
// 4 KiB, and a larger one in two.
func TestMessagesOfUnixpacket(t *testing.T) {
	a, b := testkit.Pair(t, "unixpacket")
	tr := newTransport(t, pairedConn{a.(*net.UnixConn)}, Config{})
	var want []byte
	var last Unwritten
	starts, cuts := map[int]bool{}, map[int]bool{} // where frames begin, and where large ones are cut
	for i, size := range []int{3000, 10, 0, 3000, 20_000, 5, 4 << 10, 1} {
		f := data(uint32(i), strings.Repeat("x", size))
		starts[len(want)] = true
		if wire.HeaderLen+size > messageSize {
			cuts[len(want)+messageSize] = true
		}
		want = append(want, f.Bytes()...)
		last = post(t, tr, f)
	}
	go last.Flush(true)
	var got []byte
	buf := make([]byte, 64<<10)
	for len(got) < len(want) {
		at := len(got)
		if !starts[at] && !cuts[at] {
			t.Fatalf("a message begins at %d, amid a frame", at)
		}
		delete(cuts, at)
		n, err := b.Read(buf)
		testkit.Check(t, err)
		if starts[at] && n > messageSize {
			t.Errorf("the message at %d has %d bytes", at, n)
		}
		got = append(got, buf[:n]...)
	}
	testkit.Equal(t, len(cuts), 0)
	testkit.Equal(t, bytes.Equal(got, want), true)
}
