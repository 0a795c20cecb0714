//go:build go1.25

package transport

import (
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// waitMissed waits for the poller to tell the loop in vain.
func (p *polled) waitMissed(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, "the poller to tell the loop", func() bool {
		p.telling.Lock()
		defer p.telling.Unlock()
		return p.missed
	})
}

func (p *polled) wantNow(t *testing.T, id uint32) {
	t.Helper()
	in := p.TryRecvNow()
	if in == nil || in.Stream != id {
		p.Leave() // for the loop, which is to end
		t.Fatalf("got %v, want frame %d", in, id)
	}
}

// The poller tells the loop once. While another one is inside it goes on waiting,
// and he finds out by release.
func TestWhoIsInsideLooksForTheLoop(t *testing.T) {
	p := newPolled(t, Config{})
	p.Enter()
	p.write(t, framesOf(3, 4, 0))
	p.waitMissed(t)
	testkit.Equal(t, p.release(), false)
	p.wantNow(t, 3)
	testkit.Equal(t, p.TryRecvNow(), nil)
	testkit.Equal(t, p.buf, nil)
	p.stop()
	p.write(t, framesOf(4, 5, 0))
	testkit.Eventually(t, "the loop to read on", func() bool { return slices.Equal(p.read(), []uint32{4}) })
}

// Who looks again, for the poller has told the loop in vain, finds all that was there, and a frame
// that one read does not bring: the poller says no more of it.
func TestTryRecvNowFindsAll(t *testing.T) {
	for _, size := range []int{0, 5000, 100_000} {
		p := newPolled(t, Config{})
		p.Enter()
		p.write(t, framesOf(0, 1, 0))
		p.waitMissed(t)
		stream := framesOf(1, 2, size)
		p.write(t, stream)
		p.wantNow(t, 0)
		p.wantNow(t, 1)
		testkit.Equal(t, p.TryRecvNow(), nil)
		p.stop()
	}
}
