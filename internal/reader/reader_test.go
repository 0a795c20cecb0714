//go:build go1.25

package reader

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// fakeFrames writes down the ids of frames, and answers to each as the test says.
type fakeFrames struct {
	ids     []uint32
	batches int
	may     []May
	frame   func(id uint32) bool // what Handle returns

	mu     sync.Mutex // guards failed: several may notice the end
	failed []error
}

func (r *fakeFrames) Handle(in *transport.Inbound, may May) bool {
	r.ids, r.may = append(r.ids, in.Stream), append(r.may, may)
	return r.frame == nil || r.frame(in.Stream)
}

func (r *fakeFrames) Handled() bool { r.batches++; return false }
func (r *fakeFrames) RecvFailed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, err)
}

// newReader is a Reader on one end of a socket, and both ends. The loop has the frames.
func newReader(t *testing.T, frames *fakeFrames) (r *Reader, own, peer net.Conn) {
	own, peer = testkit.Pair(t, "unix")
	tr := transport.New(own, transport.Config{
		MaxData: wire.DefaultMaxData, Backlog: 1 << 20,
		OnFail: func(err error) { t.Error(err) }, First: func([]byte) error { return nil },
	})
	if !tr.CanTry() {
		t.Skip("nobody reads for himself here")
	}
	r = new(Reader)
	r.Begin(tr, frames)
	return r, own, peer
}

// idleReader is one that nobody reads by.
func idleReader(t *testing.T, frames *fakeFrames) (r *Reader, own, peer net.Conn) {
	r, own, peer = newReader(t, frames)
	t.Cleanup(r.t.Discard)
	_, err := peer.Write(testkit.Data(1, "first")) // which the loop alone reads
	testkit.Check(t, err)
	_, err = r.t.Recv(r, true)
	testkit.Check(t, err)
	testkit.Equal(t, r.t.Buffered(), nil)
	r.t.ReleaseBuffer()
	r.Leave()
	return r, own, peer
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
func TestUntilAsksAfterTheLastRead(t *testing.T) {
	needsSpinning(t)
	frames := new(fakeFrames)
	r, _, peer := idleReader(t, frames)
	send := func(id uint32) bool {
		_, err := peer.Write(testkit.Data(id, "x"))
		return err == nil
	}
	frames.frame = func(id uint32) bool { return send(id + 1) } // each read brings one frame
	send(0)
	most := 0
	testkit.Eventually(t, "as many reads as there may be", func() bool {
		asked := 0 // how many frames there were when done was last asked
		before := len(frames.ids)
		r.Until(ByWorker, func() bool { asked = len(frames.ids); return false })
		if asked != len(frames.ids) {
			t.Fatalf("%d frames came, and done was asked after %d", len(frames.ids)-before, asked-before)
		}
		most = max(most, len(frames.ids)-before)
		return most == maxReads
	})
}

// A frame that has to wait for somebody is left, with those behind it, to a goroutine in the loop's
// stead. Before that done has seen what came.
func TestUntilLeavesAFrameToAnother(t *testing.T) {
	needsSpinning(t)
	frames := new(fakeFrames)
	r, _, peer := idleReader(t, frames)
	proceed := make(chan struct{})
	frames.frame = func(id uint32) bool {
		if id < 2 {
			return true
		}
		if r.state == InStead && id == 2 {
			<-proceed
		}
		return r.state == InStead
	}
	var burst []byte
	for id := range uint32(5) {
		burst = append(burst, testkit.Data(id, "x")...)
	}
	_, err := peer.Write(burst)
	testkit.Check(t, err)
	asked, before := 0, frames.batches
	testkit.Eventually(t, "the burst", func() bool {
		r.Until(ByCaller, func() bool { asked = len(frames.ids); return false })
		return asked > 0
	})
	testkit.Equal(t, asked, 3)
	testkit.Equal(t, r.tryAcquire(ByCaller), false)
	close(proceed)
	r.Enter() // as the loop, once the other has let go
	testkit.Equal(t, fmt.Sprint(frames.ids), "[0 1 2 2 3 4]")
	testkit.Equal(t, fmt.Sprint(frames.may), fmt.Sprint([]May{0, 0, 0, Wait, Wait, Wait}))
	testkit.Equal(t, frames.batches, before+1)
}

// The loop may do all, until a call that it runs has made another one the loop. It looks at first
// after what that other one has left.
func TestLoopMayDoAll(t *testing.T) {
	frames := new(fakeFrames)
	r, _, peer := newReader(t, frames)
	t.Cleanup(r.t.Discard)
	frames.frame = func(id uint32) bool { return id != 3 }
	_, err := peer.Write(testkit.Data(1, "x"))
	testkit.Check(t, err)
	testkit.Equal(t, r.Loop(true, func() bool { return true }), false)
	testkit.Equal(t, fmt.Sprint(frames.may), fmt.Sprint([]May{Wait | WakeLate | RunHere | RunInstead}))
	testkit.Equal(t, r.state, Idle)
	before := frames.batches
	_, err = peer.Write(testkit.Data(3, "x"))
	testkit.Check(t, err)
	r.Enter()
	testkit.Equal(t, r.Loop(true, nil), false) // another one is the loop now
	testkit.Equal(t, fmt.Sprint(frames.ids), "[1 3]")
	testkit.Equal(t, r.state, ByLoop)
	if frames.batches == before {
		t.Error("what was left has not been looked after")
	}
}

// A worker may run a call, but nobody reads meanwhile.
func TestWorkerMayRunACall(t *testing.T) {
	needsSpinning(t)
	frames := new(fakeFrames)
	r, _, peer := idleReader(t, frames)
	_, err := peer.Write(testkit.Data(3, "x"))
	testkit.Check(t, err)
	testkit.Eventually(t, "the frame", func() bool {
		r.Until(ByWorker, func() bool { return len(frames.ids) > 0 })
		return len(frames.ids) > 0
	})
	testkit.Equal(t, fmt.Sprint(frames.may), fmt.Sprint([]May{RunInstead}))
}

// Nobody reads for himself where another one does.
func TestUntilIsForOneAtATime(t *testing.T) {
	r, _, _ := idleReader(t, new(fakeFrames))
	asked := 0
	reads := func() bool {
		asked = 0
		r.Until(ByCaller, func() bool { asked++; return true })
		return asked > 0
	}
	testkit.Equal(t, reads(), true)
	testkit.Equal(t, r.tryAcquire(ByWorker), true)
	testkit.Equal(t, reads(), false)
	testkit.Equal(t, r.release(), true)
	testkit.Equal(t, reads(), true)
}

// When there is something for him at once he does not read.
func TestUntilDone(t *testing.T) {
	frames := new(fakeFrames)
	r, _, peer := idleReader(t, frames)
	_, err := peer.Write(testkit.Data(1, "x"))
	testkit.Check(t, err)
	r.Until(ByCaller, func() bool { return true })
	testkit.Equal(t, len(frames.ids), 0)
	testkit.Equal(t, r.tryAcquire(ByCaller), true)
}

// parkedReader is one whose loop is in the poller. got tells of all that is handled from then on,
// ended of the loop's end.
func parkedReader(t *testing.T, frames *fakeFrames) (r *Reader, own, peer net.Conn, got chan uint32, ended chan bool) {
	r, own, peer = newReader(t, frames)
	got, ended = make(chan uint32, 1000), make(chan bool, 1)
	frames.frame = func(id uint32) bool { got <- id; return true }
	go func() { ended <- r.Loop(true, func() bool { return false }) }()
	_, err := peer.Write(testkit.Data(1, "first"))
	testkit.Check(t, err)
	testkit.Equal(t, testkit.Wait(t, got, "the first frame"), 1)
	return r, own, peer, got, ended
}

// wantFailed wants the end to have been told, by whoever has noticed it: the one who reads, the
// loop, or both.
func wantFailed(t *testing.T, frames *fakeFrames) {
	t.Helper()
	frames.mu.Lock()
	defer frames.mu.Unlock()
	if len(frames.failed) == 0 || len(frames.failed) > 2 {
		t.Errorf("the end was told %d times", len(frames.failed))
	}
	for _, err := range frames.failed {
		testkit.Equal(t, err, io.EOF)
	}
}

// waitMissed waits for the poller to tell the loop, while another one reads.
func waitMissed(t *testing.T, r *Reader) {
	t.Helper()
	testkit.Eventually(t, "the poller to tell the loop", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.missed
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
			frames := new(fakeFrames)
			r, _, peer, got, ended := parkedReader(t, frames)
			testkit.Eventually(t, "the role", func() bool { return r.tryAcquire(ByCaller) })
			var burst []byte
			for id := range uint32(test.frames) {
				burst = append(burst, testkit.Data(id, strings.Repeat("x", test.size))...)
			}
			testkit.Check(t, peer.(*net.UnixConn).SetWriteBuffer(2*len(burst))) // nobody reads meanwhile
			_, err := peer.Write(burst)
			testkit.Check(t, err)
			waitMissed(t, r)
			r.stopReading(func() bool { return false })
			for id := range uint32(test.frames) {
				testkit.Equal(t, testkit.Wait(t, got, fmt.Sprint("frame ", id)), id)
			}
			testkit.Check(t, peer.Close())
			testkit.Equal(t, testkit.Wait(t, ended, "the loop's end"), true)
			wantFailed(t, frames)
		})
	}
}

// The end that one meets who reads for himself he tells at once,
// for the poller has told the loop already.
func TestWhoReadsTellsTheEnd(t *testing.T) {
	frames := new(fakeFrames)
	r, own, peer, _, ended := parkedReader(t, frames)
	testkit.Eventually(t, "the role", func() bool { return r.tryAcquire(ByCaller) })
	testkit.Check(t, peer.Close())
	waitMissed(t, r)
	r.stopReading(func() bool { return false })
	wantFailed(t, frames)
	testkit.Check(t, own.Close()) // as a role does
	testkit.Equal(t, testkit.Wait(t, ended, "the loop's end"), true)
}

// What has come is handed out at once, all of it, and nobody waits for more. While another one
// reads it is his.
func TestReadNow(t *testing.T) {
	frames := new(fakeFrames)
	r, _, peer := idleReader(t, frames)
	r.ReadNow(ByWorker)
	testkit.Equal(t, len(frames.ids), 0)
	for id := range uint32(3) {
		_, err := peer.Write(testkit.Data(id, "x"))
		testkit.Check(t, err)
	}
	testkit.Equal(t, r.tryAcquire(ByCaller), true)
	r.ReadNow(ByWorker)
	testkit.Equal(t, len(frames.ids), 0)
	testkit.Equal(t, r.release(), true)
	r.ReadNow(ByWorker)
	testkit.Equal(t, fmt.Sprint(frames.ids), "[0 1 2]")
	testkit.Equal(t, r.tryAcquire(ByCaller), true) // it has left
}
