//go:build go1.25

package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/wire"
)

var bg = context.Background()

// rawFrame is a frame made by hand; claim, if not zero, is the length that its header says.
type rawFrame struct {
	id    uint32
	typ   byte
	flags byte
	data  []byte
	claim uint32
}

func (f rawFrame) bytes() []byte {
	length := uint32(len(f.data))
	if f.claim != 0 {
		length = f.claim
	}
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, f.id)
	return append(append(b, f.typ, f.flags), f.data...)
}

// data is a Data frame.
func data(id uint32, in string) rawFrame { return rawFrame{id: id, typ: 3, data: []byte(in)} }

// frameOf is a frame on its way out.
func frameOf(f rawFrame) *wire.Frame {
	out := wire.NewFrame(len(f.bytes()))
	out.Append(f.bytes())
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
func post(t testing.TB, tr *Transport, f rawFrame) Unwritten {
	t.Helper()
	u, err := tr.Post(frameOf(f))
	check(t, err)
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

// pair returns both ends of a connection ("unix", "unixpacket", "tcp" or "pipe"),
// closed with the test.
func pair(t testing.TB, network string) (a, b net.Conn) {
	t.Helper()
	if network == "pipe" {
		a, b = net.Pipe()
	} else {
		addr := "127.0.0.1:0"
		if network != "tcp" {
			dir, err := os.MkdirTemp("", "t") // a short name, for a socket's address
			check(t, err)
			t.Cleanup(func() { os.RemoveAll(dir) })
			addr = filepath.Join(dir, "s")
		}
		l, err := net.Listen(network, addr)
		check(t, err)
		defer l.Close()
		a, err = net.Dial(network, l.Addr().String())
		check(t, err)
		b, err = l.Accept()
		check(t, err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %v", err, target)
	}
}

func wantExactly(t testing.TB, err, want error) {
	t.Helper()
	if err != want {
		t.Fatalf("got error %v (%T), want exactly %v", err, err, want)
	}
}

// wait waits for a channel, for a long time at most.
func wait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

// eventually waits for something that has no event of its own.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
