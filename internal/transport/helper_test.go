//go:build go1.25

package transport

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

var bg = context.Background()

// data is a Data frame.
func data(id uint32, in string) testkit.Frame {
	return testkit.Frame{ID: id, Type: 3, Data: []byte(in)}
}

// frameOf is a frame on its way out.
func frameOf(f testkit.Frame) *wire.Frame {
	out := wire.NewFrame(len(f.Bytes()))
	out.Append(f.Bytes())
	return out
}

// newTransport returns a Transport with the usual limits on a conn,
// whose reader's buffers go with the test.
func newTransport(t testing.TB, conn net.Conn, c Config) *Transport {
	if c.MaxData == 0 {
		c.MaxData = wire.DefaultMaxData
	}
	if c.Backlog == 0 {
		c.Backlog = 1 << 20
	}
	if c.OnFail == nil {
		c.OnFail = func(err error) { t.Error("the transport has failed:", err) }
	}
	first := c.First
	tr := New(conn, c)
	if first == nil {
		tr.first = nil // as if the peer had begun already: whoever wants to may read
	}
	return tr
}

// post posts a frame that is not flushed yet.
func post(t testing.TB, tr *Transport, f testkit.Frame) Unwritten {
	t.Helper()
	u, err := tr.Post(frameOf(f))
	testkit.Check(t, err)
	return u
}

// lockGate is a Gate, entered by whoever makes it. entered counts how often it was.
type lockGate struct {
	sync.Mutex               // who is inside has it
	entered    int           // guarded by the lock itself
	parked     chan struct{} // capacity 1: somebody has left

	telling sync.Mutex // guards missed, and the leaving of those whom it is for
	missed  bool       // the poller has told the loop while another one was inside
}

func newGate() *lockGate {
	g := &lockGate{parked: make(chan struct{}, 1)}
	g.Enter()
	return g
}

func (g *lockGate) TryEnter() bool {
	g.telling.Lock()
	defer g.telling.Unlock()
	if !g.TryLock() {
		g.missed = true
		return false
	}
	g.entered++
	return true
}

func (g *lockGate) Enter() { g.Lock(); g.entered++ }

// release is for one who is not the loop. It returns false when he has to look again.
func (g *lockGate) release() bool {
	g.telling.Lock()
	defer g.telling.Unlock()
	if g.missed {
		g.missed = false
		return false
	}
	g.Leave()
	return true
}

func (g *lockGate) Leave() {
	g.Unlock()
	select {
	case g.parked <- struct{}{}:
	default:
	}
}
