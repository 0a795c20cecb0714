//go:build go1.25

package transport

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

func TestBatchesAreForgotten(t *testing.T) {
	var b batching
	testkit.Equal(t, b.InBatches(), false)
	b.count(1)
	testkit.Equal(t, b.InBatches(), false)
	b.count(batchedAtOne)
	for range batchMemory - 1 {
		b.count(1)
		testkit.Equal(t, b.InBatches(), true)
	}
	b.count(1)
	testkit.Equal(t, b.InBatches(), false)
	b.count(1)
	b.count(100) // which counts as much as the first
	testkit.Equal(t, b.recent.Load(), batchMemory)
}

func TestWritesAreCounted(t *testing.T) {
	var b batching
	one, two := frameOf(data(1, "x")), frameOf(data(1, "x"))
	two.Append(data(3, "").Bytes())
	b.countWrite(one)
	testkit.Equal(t, b.InBatches(), false)
	b.countWrite(two)
	testkit.Equal(t, b.InBatches(), true)
	b.countWrite(one)
	testkit.Equal(t, b.recent.Load(), batchMemory-1)
	one.Free()
	two.Free()
}

// What comes in counts by the read that has brought it.
func TestReadsAreCounted(t *testing.T) {
	var all []byte
	for i := range uint32(10) {
		all = append(all, data(i, "x").Bytes()...)
	}
	for chunk, want := range map[int]bool{len(all): true, len(all) / 10: false} {
		tr, gate := newTransport(t, &chunkConn{b: all, chunk: chunk}, Config{}), newGate()
		for range 10 {
			_, err := tr.Recv(gate, true)
			testkit.Check(t, err)
		}
		testkit.Equal(t, tr.Buffered(), nil)
		tr.nextBuffer()
		testkit.Check(t, tr.accept(1, nil)) // the next read
		testkit.Equal(t, tr.InBatches(), want)
		tr.Discard()
	}
}

// skipped is for how many flushes nobody yields.
func skipped(b *batching) (n int) {
	for !b.worthYield() {
		b.count(batchedAtOne)
		n++
	}
	return n
}

// Nobody yields outside of batches, and each yield in a row that does not pay makes yields rarer,
// up to a bound.
func TestYieldsThatDoNotPayAreRarer(t *testing.T) {
	var b batching
	testkit.Equal(t, b.worthYield(), false)
	b.count(batchedAtOne)
	testkit.Equal(t, skipped(&b), 0)
	for miss := 1; miss < yieldSkips+3; miss++ {
		b.yielded(0, 0)
		testkit.Equal(t, skipped(&b), 1<<min(miss, yieldSkips))
	}
	b.yielded(1, 0)
	testkit.Equal(t, skipped(&b), 0)
	b.yielded(0, 0)
	testkit.Equal(t, skipped(&b), 2)
	b.yielded(1, yieldTime) // it has coalesced something, but has taken long
	testkit.Equal(t, skipped(&b), 1<<yieldSkips)
	b.yielded(1, yieldTime-time.Nanosecond)
	testkit.Equal(t, skipped(&b), 0)
}

// openConn is a gatedConn that lets so many writes go.
func openConn(writes int) *gatedConn {
	conn := newGatedConn()
	for range writes {
		conn.release <- nil
	}
	return conn
}

func (c *gatedConn) writes() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// Who has coalesced writes for all who left it to him, in one write.
func TestCoalescedFramesLeaveTogether(t *testing.T) {
	conn := openConn(10)
	tr := newTransport(t, conn, Config{})
	testkit.Equal(t, tr.Coalesce(), false)
	tr.count(batchedAtOne)
	testkit.Equal(t, tr.Coalesce(), true)
	testkit.Equal(t, tr.Coalesce(), false) // somebody else does already
	var want []byte
	for i := range uint32(10) {
		post(t, tr, data(i, "x")).FlushBatched(true)
		want = append(want, data(i, "x").Bytes()...)
	}
	testkit.Equal(t, len(conn.started), 0)
	tr.FlushCoalesced()
	testkit.Eventually(t, "the write", func() bool { return len(conn.writes()) == 1 })
	testkit.Equal(t, bytes.Equal(conn.writes()[0], want), true)
	testkit.Equal(t, tr.coalescing.Load(), false)
	testkit.Eventually(t, "the writer's end", func() bool { return !isWriting(tr) })
	post(t, tr, data(99, "x")).Flush(true)
	testkit.Equal(t, len(conn.writes()), 2)
}

func isWriting(tr *Transport) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.state == sendWriting || tr.state == sendWritingLast
}

// While one coalesces, nobody else writes, until there are bytes, or frames,
// that are worth a write of its own.
func TestEnoughIsNotKeptBack(t *testing.T) {
	for name, test := range map[string]struct{ size, frames int }{
		"bytes":  {200, (batchWrite + wire.HeaderLen + 199) / (wire.HeaderLen + 200)},
		"frames": {1, batchFrames},
	} {
		t.Run(name, func(t *testing.T) {
			conn := openConn(10)
			tr := newTransport(t, conn, Config{})
			tr.coalescing.Store(true)
			for range test.frames {
				testkit.Equal(t, len(conn.started), 0)
				post(t, tr, data(1, string(make([]byte, test.size)))).FlushBatched(true)
			}
			testkit.Equal(t, len(conn.writes()), 1)
			tr.coalescing.Store(false)
		})
	}
}

// Of many who are about to flush one yields, and writes for those who post meanwhile.
func TestOneYieldsForOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that the others run when one yields
	const others = 5
	together := func() bool {
		conn := openConn(2 * others)
		tr := newTransport(t, conn, Config{})
		tr.count(batchedAtOne)
		first := post(t, tr, data(1, "x"))
		var all sync.WaitGroup
		for range others {
			all.Go(func() {
				if u, err := tr.Post(frameOf(data(1, "x"))); err == nil {
					u.FlushBatched(true)
				}
			})
		}
		first.FlushBatched(true)
		all.Wait()
		testkit.Eventually(t, "the backlog to be written", func() bool { return tr.waiting() == 0 && !isWriting(tr) })
		sum := len(bytes.Join(conn.writes(), nil))
		testkit.Equal(t, sum, (1+others)*len(data(1, "x").Bytes()))
		return len(conn.writes()) == 1
	}
	for range 1000 { // for the scheduler may do as it likes
		if together() {
			return
		}
	}
	t.Error("they have never left together")
}

// However they flush, all frames leave, each sender's in its order.
func TestBatchedFramesAreNotLost(t *testing.T) {
	const senders, frames = 8, 500
	a, b := testkit.Pair(t, "unix")
	tr := newTransport(t, a, Config{})
	var all sync.WaitGroup
	for id := range uint32(senders) {
		all.Go(func() {
			for i := range frames {
				u, err := tr.Post(frameOf(testkit.Frame{ID: id, Type: 3, Data: []byte{byte(i >> 8), byte(i)}}))
				if err != nil {
					t.Error(err)
				}
				switch i % 4 {
				case 0:
					u.FlushLater()
				case 1:
					u.Flush(i%8 == 1)
				default:
					u.FlushBatched(i%8 == 2)
				}
				if i%16 == 0 && tr.Coalesce() {
					tr.FlushCoalesced()
				}
			}
		})
	}
	r, gate, next := newTransport(t, b, Config{}), newGate(), [senders]int{}
	defer r.Discard()
	for range senders * frames {
		in, err := r.Recv(gate, true)
		testkit.Check(t, err)
		testkit.Equal(t, int(in.Data()[0])<<8|int(in.Data()[1]), next[in.Stream])
		next[in.Stream]++
	}
	all.Wait()
}
