//go:build go1.25

package ttrpc

import (
	"testing"

	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
)

// fakeRole is a role of a conn that nobody calls.
type fakeRole struct{ role }

func (r fakeRole) handle(*transport.Inbound) bool { return true }
func (r fakeRole) handled() bool                  { return false }

// Where frames come many at once for many calls nobody reads for himself: the loop does better.
func TestNobodyReadsForHimselfWhereFramesComeInBatches(t *testing.T) {
	a, peer := testkit.Pair(t, "unix")
	c := new(conn)
	l := defaultServerConfig().limits
	c.open(a, fakeRole{}, true, &l, func(err error) { t.Error(err) })
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
	for id := range uint32(crowded) {
		c.mu.Lock()
		c.registerLocked(2*id+1, new(stream))
		c.mu.Unlock()
	}
	// A read counts what the one before it has brought.
	send(1, 3)
	for id := uint32(5); !c.t.InBatches(); id += 2 {
		in, err := c.t.Recv(&c.reader, true)
		for testkit.Check(t, err); in != nil; in = c.t.Buffered() {
			c.role.handle(in)
		}
		send(id)
	}
	c.reader.Leave()
	testkit.Equal(t, reads(), false)
	c.mu.Lock()
	c.claimLocked(1)
	c.mu.Unlock()
	testkit.Equal(t, reads(), true)
}
