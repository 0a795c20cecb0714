//go:build go1.25

package conn

import (
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// Where frames come many at once for many calls nobody reads for himself: the loop does better.
func TestNobodyReadsForHimselfWhereFramesComeInBatches(t *testing.T) {
	a, other := testkit.Pair(t, "unix")
	c := open(t, a, new(fakeRole), Config{})
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
		_, err := other.Write(burst)
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
		in, err := c.t.Recv(&c.reading.reader, true)
		for testkit.Check(t, err); in != nil; in = c.t.Buffered() {
			c.role.Handle(in)
		}
		send(id)
	}
	c.reading.reader.Leave()
	testkit.Equal(t, reads(), false)
	c.mu.Lock()
	c.ClaimLocked(1)
	c.mu.Unlock()
	testkit.Equal(t, reads(), true)
}

// The reader has written the limits when it reads on: with all processors in use another goroutine
// would have its turn when all there is room for, and more, has been read.
func TestReaderWritesLimitsOfACrowdItself(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, _ := testkit.Pair(t, "unix")
	c := open(t, a, new(fakeRole), Config{StreamBuffer: 8 << 10, ConnBuffer: 8 << 10, Extensions: peer.Known})
	if !c.t.CanTry() {
		t.Skip("nobody writes without blocking here")
	}
	const streams = 3
	for id := range uint32(streams) {
		newStream(c, 2*id+1)
	}
	testkit.Equal(t, deliver(c, 1, strings.Repeat("x", 5<<10)), true)
	testkit.Equal(t, c.t.Unwritten(), 0)
	testkit.Equal(t, c.t.Posted(), uint64(streams*wire.WindowFrame(1, 0).Len()))
}

// woken takes a stream's wake-up.
func woken(s *Stream) bool {
	select {
	case <-s.half.Ready():
		return true
	default:
		return false
	}
}

// The consumer of a large message is woken before the loop waits, lets a call run, or leaves, and
// by the end of what it reads. Who reads for himself wakes it at once.
func TestConsumerOfALargeMessageIsWokenLater(t *testing.T) {
	a, _ := testkit.Pair(t, "unix")
	c := open(t, a, new(fakeRole), Config{})
	defer c.t.Discard()
	if !c.t.CanTry() {
		t.Skip("nobody wakes later here")
	}
	s := newStream(c, 1)
	for name, then := range map[string]func(){
		"waits": func() { testkit.Equal(t, c.MayWait(), true) },
		"runs":  func() { c.MayRun() },
		"leaves": func() {
			(*frames)(c).Handled() // the read is over
			testkit.Equal(t, woken(s), false)
			c.reading.reader.Leave()
		},
		"ends": func() { (*frames)(c).RecvFailed(errFirst) },
	} {
		c.reading.may = reader.Wait | reader.WakeLate
		deliver(c, 1, "short")
		testkit.Equal(t, woken(s), true)
		deliver(c, 1, strings.Repeat("x", 50_000))
		testkit.Equal(t, woken(s), false)
		if then(); !woken(s) {
			t.Error("not when the loop", name)
		}
		c.reading.may = 0
		deliver(c, 1, strings.Repeat("x", 50_000))
		testkit.Equal(t, woken(s), true)
	}
}

// One whose next read brings nothing for the consumer wakes it.
func TestConsumerIsWokenBehindAReadWithoutMore(t *testing.T) {
	a, other := testkit.Pair(t, "unix")
	role := new(fakeRole)
	c := open(t, a, role, Config{})
	defer c.t.Discard()
	if !c.t.CanTry() {
		t.Skip("nobody wakes later here")
	}
	s := newStream(c, 1)
	role.handle = c.HandleData
	send := func(data []byte) {
		_, err := other.Write(data)
		testkit.Check(t, err)
	}
	send(testkit.Data(1, strings.Repeat("x", 2*wire.SharedFrame)))
	reads := 0
	c.ReadLoop(true, func() bool {
		if c.inflow.Buffered() == 0 { // the message has not come whole
			return false
		}
		reads++
		testkit.Equal(t, woken(s), reads > 1)
		send(testkit.Data(3, "of another, which is gone"))
		return reads > 1
	})
}
