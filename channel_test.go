//go:build go1.25

package ttrpc

import (
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// fakeRole is a role of a conn that nobody calls.
type fakeRole struct{ role }

func (r fakeRole) handle(*transport.Inbound) bool { return true }
func (r fakeRole) handled() bool                  { return false }

// restrainNew is a client's.
func (r fakeRole) restrainNew(before transport.Unwritten) transport.Unwritten { return before }

// The reader has written the limits when it reads on: with all processors in use another goroutine
// would have its turn when all there is room for, and more, has been read.
func TestReaderWritesLimitsOfACrowdItself(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, b := testkit.Pair(t, "unix")
	defer b.Close()
	c := NewClient(a, WithClientExtensions(ExtensionsAssumed), WithClientStreamBuffer(8<<10, 8<<10))
	defer c.Close()
	if !c.t.CanTry() {
		t.Skip("nobody writes without blocking here")
	}
	var all []*stream
	for range 3 {
		cs, err := c.NewStream(t.Context(), &StreamDesc{StreamingServer: true}, svc, "x", nil)
		testkit.Check(t, err)
		all = append(all, &cs.(*clientStream).stream)
	}
	testkit.Check(t, c.t.WaitWritten(t.Context(), c.t.Posted()))
	before := c.t.Posted()
	raw := testkit.Data(all[0].id, strings.Repeat("x", 5<<10))
	testkit.Equal(t, c.take(all[0], &transport.Inbound{Header: wire.ParseHeader(raw), Raw: raw}), true)
	testkit.Equal(t, c.t.Unwritten(), 0)
	testkit.Equal(t, c.t.Posted()-before, uint64(len(all))*uint64(wire.WindowFrame(1, 0).Len()))
}

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
