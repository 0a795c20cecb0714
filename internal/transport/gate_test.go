//go:build go1.25

package transport

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
)

// polled is a Transport on a socket, with a loop that is inside the gate but while it waits in the
// poller. What comes is written down by those inside; only they may touch the gate, for a test that
// took it in order to look would have to look after what the poller says meanwhile.
type polled struct {
	*Transport
	*lockGate
	conn, peer   net.Conn
	ended        chan error
	seen         sync.Mutex // guards all below
	byLoop, both []uint32   // stream ids, in the order in which they came
}

func newPolled(t *testing.T, c Config) *polled {
	if !canTryIO {
		t.Skip("no descriptors here")
	}
	before := canSpin
	canSpin = true
	a, b := testkit.Pair(t, "unix")
	p := &polled{Transport: newTransport(t, a, c), lockGate: newGate(), conn: a, peer: b, ended: make(chan error, 1)}
	go p.loop()
	t.Cleanup(func() {
		b.Close()
		a.Close()
		if p.ended != nil {
			testkit.Wait(t, p.ended, "the loop's end")
		}
		p.Enter()
		p.Discard()
		canSpin = before
	})
	testkit.Wait(t, p.parked, "the loop to be in the poller")
	return p
}

// loop leaves the gate when it ends: a reader's loop would not, for nobody may read any more.
func (p *polled) loop() {
	for {
		in, err := p.Recv(p, true)
		if err != nil {
			p.ended <- err
			p.Leave()
			return
		}
		for ; in != nil; in = p.Buffered() {
			p.seen.Lock()
			p.byLoop = append(p.byLoop, in.Stream)
			p.both = append(p.both, in.Stream)
			p.seen.Unlock()
		}
	}
}

// read is what the loop has read, and all what both have.
func (p *polled) read() []uint32 {
	p.seen.Lock()
	defer p.seen.Unlock()
	return slices.Clone(p.byLoop)
}

func (p *polled) all() []uint32 {
	p.seen.Lock()
	defer p.seen.Unlock()
	return slices.Clone(p.both)
}

// stop leaves the gate as one who is not the loop has to: what the poller has told the loop
// meanwhile is looked after before.
func (p *polled) stop() {
	for !p.release() {
		p.seen.Lock()
		for in := p.TryRecvNow(); in != nil; in = p.TryRecvNow() {
			p.both = append(p.both, in.Stream)
		}
		p.seen.Unlock()
		p.ReleaseBuffer()
	}
}

// steal reads in the loop's stead. The gate is the caller's.
func (p *polled) steal() (ids []uint32) {
	for range 3 {
		ids = append(ids, p.stealOnce()...)
	}
	p.ReleaseBuffer()
	p.seen.Lock()
	defer p.seen.Unlock()
	p.both = append(p.both, ids...)
	return ids
}

// stealOnce reads what one read brings.
func (p *polled) stealOnce() (ids []uint32) {
	p.spin.until, p.spin.skip = Clock()+time.Hour, 0
	for in := p.TryRecv(); in != nil; in = p.Buffered() {
		ids = append(ids, in.Stream)
	}
	return ids
}

func (p *polled) write(t *testing.T, b []byte) {
	t.Helper()
	_, err := p.peer.Write(b)
	testkit.Check(t, err)
}

func framesOf(from, to uint32, size int) (b []byte) {
	for id := from; id < to; id++ {
		b = append(b, testkit.Frame{ID: id, Type: 3, Data: make([]byte, size)}.Bytes()...)
	}
	return b
}

// A caller reads while the loop is in the poller. The loop goes on where he has left off, amid a
// frame, be it cut in its header or behind it.
func TestTryRecvWhileTheLoopIsParked(t *testing.T) {
	for _, size := range []int{0, 10, 20_000, 200_000} {
		for _, cut := range []int{0, 1, 9, 10, 11, 5000} {
			p := newPolled(t, Config{})
			stream := framesOf(0, 6, size)
			frame := len(stream) / 6
			cut := min(cut, frame-1)
			p.Enter()
			go p.peer.Write(stream[:3*frame+cut])
			var stolen []uint32
			testkit.Eventually(t, "three frames", func() bool {
				stolen = append(stolen, p.steal()...)
				return len(stolen) == 3
			})
			testkit.Equal(t, slices.Equal(stolen, []uint32{0, 1, 2}), true)
			if p.buf != nil {
				t.Error("a buffer is kept where nothing is read")
			}
			p.stop()
			p.write(t, stream[3*frame+cut:])
			testkit.Eventually(t, "the loop to read the rest", func() bool { return slices.Equal(p.read(), []uint32{3, 4, 5}) })
			testkit.Equal(t, len(p.all()), 6)
		}
	}
}

// One who reads several times in a row goes on where his last read has ended.
func TestTryRecvGoesOn(t *testing.T) {
	for _, size := range []int{0, 5, 3000} {
		stream := framesOf(0, 2, size)
		frame := len(stream) / 2
		for cut := range min(frame, 20) {
			p := newPolled(t, Config{})
			p.Enter()
			p.write(t, stream[:frame+cut])
			testkit.Equal(t, slices.Equal(p.stealOnce(), []uint32{0}), true)
			p.write(t, stream[frame+cut:])
			testkit.Equal(t, slices.Equal(p.stealOnce(), []uint32{1}), true)
			p.stop()
		}
	}
}

// Whoever reads, frames come whole, in their order, and none is lost:
// callers read whenever they get in.
func TestTryRecvLosesNothing(t *testing.T) {
	p := newPolled(t, Config{})
	random := rand.New(rand.NewPCG(5, 6))
	const frames = 10_000
	p.Enter()
	go func() {
		var b []byte
		for id := range uint32(frames) {
			size := random.IntN(100)
			if id%100 == 0 {
				size = random.IntN(100_000)
			}
			b = append(b, testkit.Frame{ID: id, Type: 3, Data: make([]byte, size)}.Bytes()...)
			if n := random.IntN(len(b)); id == frames-1 || n > len(b)/2 {
				n = max(n, min(len(b), 3000))
				if id == frames-1 {
					n = len(b)
				}
				_, _ = p.peer.Write(b[:n])
				b = b[n:]
			}
		}
		p.peer.Close()
	}()
	stolen := 0
	testkit.Eventually(t, "the caller to read something", func() bool { stolen += len(p.steal()); return stolen > 0 })
	p.stop()
	testkit.Eventually(t, "the end, whoever meets it", func() bool {
		if len(p.ended) == 0 && p.TryLock() {
			if stolen < frames/2 {
				stolen += len(p.steal())
			}
			// Whoever meets the end has to tell it, so that the connection is closed.
			if p.RecvErr() != nil {
				_ = p.conn.Close()
			}
			p.stop()
		}
		return len(p.ended) > 0
	})
	testkit.WantExactly(t, testkit.Wait(t, p.ended, "the loop's end"), io.EOF)
	p.ended = nil
	testkit.Equal(t, len(p.both), frames)
	for i, id := range p.both {
		testkit.Equal(t, id, uint32(i))
	}
	t.Logf("the loop has read %d frames, the caller %d", len(p.byLoop), stolen)
}

// The end that a caller meets is his to tell, behind what was read before it: the poller tells the
// loop no second time. Once the connection is closed for it the loop says the same.
func TestTryRecvMeetsTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		send []byte
		want error
	}{
		"between frames":     {framesOf(0, 2, 5), io.EOF},
		"amid a header":      {framesOf(0, 3, 5)[:33], io.ErrUnexpectedEOF},
		"amid a frame":       {framesOf(0, 3, 5)[:43], io.ErrUnexpectedEOF},
		"amid a large frame": {append(framesOf(0, 2, 5), framesOf(2, 3, 100_000)[:90_000]...), io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPolled(t, Config{})
			p.Enter()
			testkit.Check(t, p.RecvErr())
			p.write(t, test.send)
			testkit.Check(t, p.peer.Close())
			testkit.Eventually(t, "the end", func() bool { p.steal(); return p.RecvErr() != nil })
			testkit.Equal(t, p.TryRecv(), nil)
			testkit.Equal(t, p.TryRecvNow(), nil)
			testkit.WantExactly(t, p.RecvErr(), test.want)
			testkit.Equal(t, slices.Equal(p.all(), []uint32{0, 1}), true)
			testkit.Equal(t, len(p.ended), 0)
			testkit.Check(t, p.conn.Close())
			p.stop()
			testkit.WantExactly(t, testkit.Wait(t, p.ended, "the loop's end"), test.want)
			p.ended = nil
			testkit.Equal(t, len(p.read()), 0)
		})
	}
}

// What First says of the first bytes is told, whoever has read them.
func TestRefusedFirstBytes(t *testing.T) {
	broken := errors.New("broken")
	p := newPolled(t, Config{First: func([]byte) error { return broken }})
	p.Enter()
	p.write(t, framesOf(0, 1, 0))
	p.TryRecv()
	p.stop()
	p.Enter() // when the loop has ended, or at once
	if err := p.RecvErr(); err != nil {
		testkit.WantExactly(t, err, broken)
		testkit.Check(t, p.conn.Close())
	}
	p.stop()
	testkit.WantExactly(t, testkit.Wait(t, p.ended, "the loop's end"), broken)
	p.ended = nil
}

// One who is not inside enters when something has come, or when the waiting has failed.
func TestRecvFromOutside(t *testing.T) {
	a, b := testkit.Pair(t, "unix")
	tr, gate := newTransport(t, a, Config{}), newGate()
	if !tr.CanTry() {
		t.Skip("no descriptors here")
	}
	defer tr.Discard()
	gate.Leave()
	testkit.Wait(t, gate.parked, "nobody inside")
	returned := make(chan error, 1)
	recv := func() {
		_, err := tr.Recv(gate, false)
		returned <- err
	}
	go recv()
	_, err := b.Write(framesOf(3, 4, 0))
	testkit.Check(t, err)
	testkit.Check(t, testkit.Wait(t, returned, "Recv"))
	testkit.Equal(t, gate.TryLock(), false)
	gate.Leave()
	go recv()
	testkit.Check(t, b.Close())
	testkit.WantExactly(t, testkit.Wait(t, returned, "Recv"), io.EOF)
	testkit.Equal(t, gate.TryLock(), false)
}

// When the waiting itself fails the loop is inside the gate, too, as it is whenever Recv returns.
func TestRecvReturnsInsideTheGate(t *testing.T) {
	for name, fail := range map[string]func(conn net.Conn) error{
		"deadline": func(conn net.Conn) error { return conn.SetReadDeadline(time.Now()) },
		"close":    func(conn net.Conn) error { return conn.Close() },
	} {
		for _, network := range []string{"unix", "tcp"} {
			a, _ := testkit.Pair(t, network)
			tr, gate := newTransport(t, a, Config{}), newGate()
			returned := make(chan error, 1)
			go func() {
				_, err := tr.Recv(gate, true)
				if gate.TryLock() {
					t.Errorf("%s: it has returned outside of the gate", name)
				}
				returned <- err
			}()
			if tr.CanTry() {
				testkit.Wait(t, gate.parked, "the loop to be in the poller")
				gate.Lock() // somebody else is inside meanwhile
			}
			testkit.Check(t, fail(a))
			if tr.CanTry() {
				testkit.Equal(t, len(returned), 0)
				gate.Unlock()
			}
			if err := testkit.Wait(t, returned, "Recv"); !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}
	}
}

// On a conn that is no descriptor nobody else can read: the loop is inside all the time.
func TestTryRecvOfOtherConns(t *testing.T) {
	a, b := testkit.Pair(t, "pipe")
	tr, gate := newTransport(t, a, Config{}), newGate()
	testkit.Equal(t, tr.CanTry(), false)
	testkit.Equal(t, tr.TryRecv(), nil)
	go b.Write(data(3, "x").Bytes())
	in, err := tr.Recv(gate, true)
	testkit.Check(t, err)
	testkit.Equal(t, in.Stream, 3)
	testkit.Equal(t, gate.entered, 1)
	tr.Discard()
}
