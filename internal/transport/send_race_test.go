//go:build go1.25

package transport

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// countConn counts what is written to it, and fails once so much has been.
type countConn struct {
	net.Conn
	written, limit int // of whoever writes
}

var errFull = errors.New("full")

func (c *countConn) Write(b []byte) (int, error) {
	if c.written+len(b) > c.limit {
		return 0, errFull
	}
	c.written += len(b)
	return len(b), nil
}

// sendRace is goroutines that share a sending half, in an order that a seed and the scheduler make.
type sendRace struct {
	tr     *Transport
	seed   uint64
	ended  chan error // capacity 10: what OnFail is told
	posted atomic.Int64
}

func (r *sendRace) random(who int) *rand.Rand { return rand.New(rand.NewPCG(r.seed, uint64(who))) }

// send posts frames, flushes them in all ways, and waits in all ways, until the half has ended.
func (r *sendRace) send(t *testing.T, who int) {
	random := r.random(who)
	for range 20 {
		f := data(uint32(who), string(make([]byte, random.IntN(300))))
		u, err := r.tr.Post(frameOf(f))
		if err != nil {
			return
		}
		r.posted.Add(int64(len(f.Bytes())))
		switch random.IntN(4) {
		case 0:
			u.FlushLater()
		case 1:
			u.FlushBatched(random.IntN(2) == 0)
		default:
			u.Flush(random.IntN(2) == 0)
		}
		switch random.IntN(4) {
		case 0:
			testkit.Check(t, r.tr.WaitStreamSpace(bg))
		case 1:
			testkit.Check(t, r.tr.WaitWritten(bg, r.tr.Posted()))
		case 2:
			r.tr.AwaitSpace()
		}
	}
}

// run returns what the half has ended with. All who wait are let go before.
func (r *sendRace) run(t *testing.T, end func(tr *Transport)) error {
	var all sync.WaitGroup
	for who := range 4 {
		all.Go(func() { r.send(t, who) })
	}
	all.Go(func() {
		random := r.random(99)
		for range random.IntN(20) {
			if r.tr.Coalesce() {
				r.tr.FlushCoalesced()
			}
		}
		end(r.tr)
	})
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	testkit.Wait(t, over, "those who send")
	return testkit.Wait(t, r.ended, "the end")
}

// Whoever posts, flushes and waits while the half closes or fails: nobody waits for ever, the end
// is told once, and what was posted before the half has closed is written.
func TestSendingHalfEndsForAll(t *testing.T) {
	var wrote [2]int // how often it has closed, and failed
	for seed := range uint64(200) {
		r := &sendRace{seed: seed, ended: make(chan error, 10)}
		random := r.random(100)
		conn := &countConn{limit: 1 << 30}
		if random.IntN(2) == 0 {
			conn.limit = random.IntN(10_000)
		}
		r.tr = newTransport(t, conn, Config{Backlog: 1 + random.IntN(2000), OnFail: func(err error) { r.ended <- err }})
		if random.IntN(2) == 0 {
			r.tr.count(batchedAtOne)
		}
		switch err := r.run(t, (*Transport).CloseWhenFlushed); err {
		case ErrDone:
			wrote[0]++
			testkit.Equal(t, conn.written, int(r.posted.Load()))
			testkit.Equal(t, r.tr.Flushed(), true)
		case errFull:
			wrote[1]++
			testkit.Equal(t, r.tr.Flushed(), false)
		default:
			t.Fatal(err)
		}
		testkit.Equal(t, len(r.ended), 0)
	}
	t.Logf("it has closed %d times, and failed %d times", wrote[0], wrote[1])
}

// The same on a descriptor: what the peer reads is whole.
func TestSendingHalfOfADescriptorEndsForAll(t *testing.T) {
	for seed := range uint64(20) {
		a, b := testkit.Pair(t, "unix")
		read := make(chan int64, 1)
		go func() { n, _ := io.Copy(io.Discard, b); read <- n }()
		r := &sendRace{seed: seed, ended: make(chan error, 10)}
		r.tr = newTransport(t, a, Config{Backlog: 1000, OnFail: func(err error) { _ = a.Close(); r.ended <- err }})
		testkit.WantExactly(t, r.run(t, (*Transport).CloseWhenFlushed), ErrDone)
		testkit.Equal(t, testkit.Wait(t, read, "the peer"), r.posted.Load())
	}
}

// Who stops the half is told, and nobody else is.
func TestStopIsForAll(t *testing.T) {
	for seed := range uint64(50) {
		r := &sendRace{seed: seed, ended: make(chan error, 10)}
		r.tr = newTransport(t, &countConn{limit: 1 << 30}, Config{Backlog: 100})
		testkit.WantExactly(t, r.run(t, func(tr *Transport) {
			testkit.Equal(t, tr.Stop(io.EOF), true)
			r.ended <- io.EOF
			tr.CloseWhenFlushed()
		}), io.EOF)
		testkit.Equal(t, len(r.ended), 0)
		testkit.Equal(t, r.tr.Flushed(), false)
	}
}
