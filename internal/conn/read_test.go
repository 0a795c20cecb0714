//go:build go1.25

package conn

import (
	"net"
	"testing"

	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// fakeRole is a role of a conn that nobody calls.
type fakeRole struct{ Role }

func (r fakeRole) Handle(*transport.Inbound) bool { return true }
func (r fakeRole) Handled() bool                  { return false }

// open makes a Conn with a role. What the config says not is as in a test that needs no room.
func open(t *testing.T, netConn net.Conn, role Role, config Config) *Conn {
	t.Helper()
	c := new(Conn)
	c.Init(netConn)
	config.MaxRecv, config.Backlog = wire.DefaultMaxData, 1<<20
	config.OnFail = func(err error) { t.Error(err) }
	c.Lock()
	defer c.Unlock()
	testkit.Equal(t, c.OpenLocked(netConn, role, &config), true)
	return c
}

// Where frames come many at once for many calls nobody reads for himself: the loop does better.
func TestNobodyReadsForHimselfWhereFramesComeInBatches(t *testing.T) {
	a, peer := testkit.Pair(t, "unix")
	c := open(t, a, fakeRole{}, Config{})
	defer c.t.Discard()
	if !c.t.CanTry() {
		t.Skip("nobody reads for himself here")
	}
	reads := func() bool {
		asked := false
		c.readUntil(reader.ByCaller, func() bool { asked = true; return true })
		return asked
	}
	send := func(ids ...uint32) {
		var burst []byte
		for _, id := range ids {
			burst = append(burst, testkit.Data(id, "x")...)
		}
		_, err := peer.Write(burst)
		testkit.Check(t, err)
	}
	for id := range uint32(busyCalls) {
		c.mu.Lock()
		c.RegisterLocked(2*id+1, new(Stream))
		c.mu.Unlock()
	}
	// A read counts what the one before it has brought.
	send(1, 3)
	for id := uint32(5); !c.t.InBatches(); id += 2 {
		in, err := c.t.Recv(&c.reader, true)
		for testkit.Check(t, err); in != nil; in = c.t.Buffered() {
			c.role.Handle(in)
		}
		send(id)
	}
	c.reader.Leave()
	testkit.Equal(t, reads(), false)
	c.mu.Lock()
	c.ClaimLocked(1)
	c.mu.Unlock()
	testkit.Equal(t, reads(), true)
}
