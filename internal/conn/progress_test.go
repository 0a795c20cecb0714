//go:build go1.25

package conn

import (
	"testing"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// A connection in its handshake, which has no transport yet, and one that has received Data.
func TestStatus(t *testing.T) {
	a, _ := testkit.Pair(t, "pipe")
	early := new(Conn)
	early.Init(a)
	early.Lock()
	defer early.Unlock()
	testkit.Equal(t, early.StatusLocked(), Status{NetConn: a, Since: early.since, State: Handshake, Extensions: "off"})

	c, _, _ := onPipe(t, Config{Extensions: peer.Unknown})
	newStream(c, 1)
	deliver(c, 1, "hello")
	c.Lock()
	defer c.Unlock()
	got := c.StatusLocked()
	testkit.Equal(t, got, Status{
		NetConn: c.netConn, Since: c.since, State: Open, Extensions: "unknown", Unread: wire.HeaderLen + 5,
	})
}

// Each direction has its bytes, and a limit where its sender is under flow control.
func TestProgress(t *testing.T) {
	const frame = wire.HeaderLen + 5
	c, _, _ := onPipe(t, Config{Extensions: peer.Known, StreamWindow: frame})
	s := newStream(c, 1)
	progress := func() Progress {
		c.Lock()
		defer c.Unlock()
		return s.ProgressLocked()
	}
	testkit.Equal(t, progress(), Progress{})
	var first flow.FirstLimit
	s.outgoing.Begin(first.Next(50))
	deliver(c, 1, "hello") // fills the window
	got := progress()
	testkit.Equal(t, got.Sent, Window{Limited: true, Limit: 50})
	testkit.Equal(t, got.Received.Bytes, frame)
	testkit.Equal(t, got.Received.Limited, true)
	testkit.Equal(t, got.Unread, frame)
	receive(t, s, &fakeSide{c: c}, "hello")
	s.CloseRecv(nil, nil)
	got = progress()
	testkit.Equal(t, got.Unread, 0)
	testkit.Equal(t, got.Ended, true)
}
