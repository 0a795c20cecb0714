//go:build go1.25

package ttrpc

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/ttrpc/internal/transport"
)

// fakeRole is a role of a conn that writes down the ids of frames,
// and answers to each as the test says.
type fakeRole struct {
	ids     []uint32
	batches int
	frame   func(id uint32) bool // what handle returns

	mu     sync.Mutex // guards failed: several may notice the end
	failed []error
}

func (r *fakeRole) handle(in *transport.Inbound) bool {
	r.ids = append(r.ids, in.Stream)
	return r.frame == nil || r.frame(in.Stream)
}

func (r *fakeRole) handled() bool       { r.batches++; return false }
func (r *fakeRole) failStalled(*stream) {}
func (r *fakeRole) restrainNew()        {}
func (r *fakeRole) dataEnded(*stream)   {}

func (r *fakeRole) handleExtension(*transport.Inbound)               {}
func (r *fakeRole) takesData(*stream, bool, *transport.Inbound) bool { return false }

func (r *fakeRole) recvFailed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, err)
}

// idleConn is a conn on one end of a socket whose reader is idle, and the other end.
func idleConn(t *testing.T, role *fakeRole) (*conn, net.Conn) {
	a, b := pair(t, "unix")
	c := new(conn)
	l := defaultServerConfig().limits
	c.open(a, role, true, &l, func(err error) { t.Error(err) })
	if !c.t.CanTry() {
		t.Skip("nobody reads for himself here")
	}
	_, err := b.Write(data(1, 0, "first").bytes()) // which the loop alone reads
	check(t, err)
	_, err = c.t.Recv(&c.reader, true)
	check(t, err)
	equal(t, c.t.Buffered(), nil)
	c.t.ReleaseBuffer()
	c.reader.Leave()
	return c, b
}

// needsSpinning skips a test of one who reads for himself where he looks once and goes: with one
// processor, the peer is not there to send meanwhile.
func needsSpinning(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Skip("nobody waits in a loop for what may come")
	}
}

// What done has to see is what has come: it is asked after the last read, too,
// as many as one reader may do.
func TestReadUntilAsksAfterTheLastRead(t *testing.T) {
	needsSpinning(t)
	role := new(fakeRole)
	c, peer := idleConn(t, role)
	defer c.t.Discard()
	send := func(id uint32) bool {
		_, err := peer.Write(data(id, 0, "x").bytes())
		return err == nil
	}
	role.frame = func(id uint32) bool { return send(id + 1) } // each read brings one frame
	send(0)
	most := 0
	eventually(t, "as many reads as there may be", func() bool {
		asked := 0 // how many frames there were when done was last asked
		before := len(role.ids)
		c.readUntil(readByWorker, func() bool { asked = len(role.ids); return false })
		if asked != len(role.ids) {
			t.Fatalf("%d frames came, and done was asked after %d", len(role.ids)-before, asked-before)
		}
		most = max(most, len(role.ids)-before)
		return most == maxReads
	})
}

// A frame that has to wait for somebody is left, with those behind it, to a goroutine in the loop's
// stead. Before that done has seen what came.
func TestReadUntilLeavesAFrameToAnother(t *testing.T) {
	needsSpinning(t)
	role := new(fakeRole)
	c, peer := idleConn(t, role)
	defer c.t.Discard()
	var as []readState
	proceed := make(chan struct{})
	role.frame = func(id uint32) bool {
		as = append(as, c.reader.state)
		if id < 2 {
			return true
		}
		if c.reader.state == readInStead && id == 2 {
			<-proceed
		}
		return c.reader.state == readInStead
	}
	var burst []byte
	for id := range uint32(5) {
		burst = append(burst, data(id, 0, "x").bytes()...)
	}
	_, err := peer.Write(burst)
	check(t, err)
	asked := 0
	eventually(t, "the burst", func() bool {
		c.readUntil(readByCaller, func() bool { asked = len(role.ids); return false })
		return asked > 0
	})
	equal(t, asked, 3)
	equal(t, c.reader.tryAcquire(readByCaller), false)
	close(proceed)
	c.reader.Enter() // as the loop, once the other has let go
	equal(t, fmt.Sprint(role.ids), "[0 1 2 2 3 4]")
	equal(t, fmt.Sprint(as), fmt.Sprint([]readState{readByCaller, readByCaller, readByCaller, readInStead, readInStead, readInStead}))
	equal(t, role.batches, 1)
}

// Nobody reads for himself where another one does, or where frames come many at once for many
// calls, which the loop does better.
func TestReadUntilIsNotForAll(t *testing.T) {
	role := new(fakeRole)
	c, peer := idleConn(t, role)
	defer c.t.Discard()
	asked := 0
	reads := func() bool {
		asked = 0
		c.readUntil(readByCaller, func() bool { asked++; return true })
		return asked > 0
	}
	equal(t, reads(), true)
	equal(t, c.reader.tryAcquire(readByWorker), true)
	equal(t, reads(), false)
	equal(t, c.reader.release(), true)
	fill := func(calls int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for id := range uint32(calls) {
			c.registerLocked(2*id+1, new(stream))
		}
	}
	fill(crowded)
	equal(t, reads(), true)
	_, err := peer.Write(append(data(1, 0, "x").bytes(), data(3, 0, "x").bytes()...))
	check(t, err)
	c.reader.Enter()
	// A read counts what the one before it has brought.
	for id := uint32(5); !c.t.InBatches(); id += 2 {
		in, err := c.t.Recv(&c.reader, true)
		check(t, err)
		c.reader.handleAll(in)
		_, err = peer.Write(data(id, 0, "x").bytes())
		check(t, err)
	}
	c.reader.Leave()
	equal(t, reads(), false)
	c.mu.Lock()
	c.claimLocked(1)
	c.mu.Unlock()
	equal(t, reads(), true)
}

// When there is something for him at once he does not read.
func TestReadUntilDone(t *testing.T) {
	role := new(fakeRole)
	c, peer := idleConn(t, role)
	defer c.t.Discard()
	_, err := peer.Write(data(1, 0, "x").bytes())
	check(t, err)
	c.readUntil(readByCaller, func() bool { return true })
	equal(t, len(role.ids), 0)
	equal(t, c.reader.tryAcquire(readByCaller), true)
}

// parkedConn is a conn whose loop is in the poller, and the other end. got tells of all that is
// handled from then on, ended of the loop's end.
func parkedConn(t *testing.T, role *fakeRole) (c *conn, peer net.Conn, got chan uint32, ended chan bool) {
	a, peer := pair(t, "unix")
	c, got, ended = new(conn), make(chan uint32, 1000), make(chan bool, 1)
	role.frame = func(id uint32) bool { got <- id; return true }
	l := defaultServerConfig().limits
	c.open(a, role, true, &l, func(err error) { t.Error(err) })
	if !c.t.CanTry() {
		t.Skip("nobody reads for himself here")
	}
	go func() { ended <- c.readLoop(true, func() bool { return false }) }()
	_, err := peer.Write(data(1, 0, "first").bytes())
	check(t, err)
	equal(t, wait(t, got, "the first frame"), 1)
	return c, peer, got, ended
}

// wantFailed wants the end to have been told, by whoever has noticed it: the one who reads, the
// loop, or both.
func wantFailed(t *testing.T, role *fakeRole) {
	t.Helper()
	role.mu.Lock()
	defer role.mu.Unlock()
	if len(role.failed) == 0 || len(role.failed) > 2 {
		t.Errorf("the end was told %d times", len(role.failed))
	}
	for _, err := range role.failed {
		wantExactly(t, err, io.EOF)
	}
}

// waitMissed waits for the poller to tell the loop, while another one reads.
func waitMissed(t *testing.T, c *conn) {
	t.Helper()
	eventually(t, "the poller to tell the loop", func() bool {
		c.reader.mu.Lock()
		defer c.reader.mu.Unlock()
		return c.reader.missed
	})
}

// What comes while one reads for himself, and what the poller has told the loop of in vain, is
// handled without anything coming after it: one frame, more than a read brings,
// and a frame that no read brings whole.
func TestWhoReadsLeavesNothingBehind(t *testing.T) {
	for name, test := range map[string]struct{ frames, size int }{
		"one": {1, 1}, "more than a read": {60, 1000}, "a large one": {1, 150_000}, "and one behind it": {2, 90_000},
	} {
		t.Run(name, func(t *testing.T) {
			role := new(fakeRole)
			c, peer, got, ended := parkedConn(t, role)
			eventually(t, "the role", func() bool { return c.reader.tryAcquire(readByCaller) })
			var burst []byte
			for id := range uint32(test.frames) {
				burst = append(burst, data(id, 0, strings.Repeat("x", test.size)).bytes()...)
			}
			check(t, peer.(*net.UnixConn).SetWriteBuffer(2*len(burst))) // nobody reads meanwhile
			_, err := peer.Write(burst)
			check(t, err)
			waitMissed(t, c)
			c.reader.stopReading(func() bool { return false })
			for id := range uint32(test.frames) {
				equal(t, wait(t, got, fmt.Sprint("frame ", id)), id)
			}
			check(t, peer.Close())
			equal(t, wait(t, ended, "the loop's end"), true)
			wantFailed(t, role)
		})
	}
}

// The end that one meets who reads for himself he tells at once,
// for the poller has told the loop already.
func TestWhoReadsTellsTheEnd(t *testing.T) {
	role := new(fakeRole)
	c, peer, _, ended := parkedConn(t, role)
	eventually(t, "the role", func() bool { return c.reader.tryAcquire(readByCaller) })
	check(t, peer.Close())
	waitMissed(t, c)
	c.reader.stopReading(func() bool { return false })
	wantFailed(t, role)
	check(t, c.netConn.Close()) // as a role does
	equal(t, wait(t, ended, "the loop's end"), true)
}
