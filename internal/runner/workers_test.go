//go:build go1.25

package runner

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
)

// fakeSource is a connection with a loop that gets reads from a channel, each a row of calls.
type fakeSource struct {
	Conn
	method   Method
	here     bool // the one who reads may run a brief call, and read on
	instead  bool // he may run a call
	reads    chan []*fakeCall
	next     [][]*fakeCall // what a worker that is free reads for itself
	loops    int           // how often one became the loop
	soon     bool          // what Handled has said of the last read
	finished int
}

// fakeCall is a call that runs for as long as its handler does.
type fakeCall struct {
	Record
	handler func()
}

func (c *fakeCall) Serve(time.Duration) (posted transport.Unwritten) {
	c.handler()
	return posted
}

func (s *fakeSource) MayRun() (here, instead bool) { return s.here, s.instead }

func (s *fakeSource) ReadLoop(_ bool, leave func() bool) (ended bool) {
	s.loops++
	for calls := range s.reads {
		for _, call := range calls {
			if !s.Run(call) {
				return false
			}
		}
		s.soon = s.Handled()
		if leave() {
			return false
		}
	}
	return true
}

func (s *fakeSource) ReadAsWorker(done func() bool) {
	for len(s.next) > 0 && !done() {
		for _, call := range s.next[0] {
			s.Run(call)
			done()
		}
		s.next = s.next[1:]
	}
}

// call makes a call. All calls of one source are of one method.
func (s *fakeSource) call(handler func()) *fakeCall {
	c := &fakeCall{handler: handler}
	c.SetRecord(&s.Conn, &s.method, 1, false)
	return c
}

// newSource begins to serve a connection, of a kind that one may look at for what has come.
func newSource(t *testing.T, r *Runner) *fakeSource {
	own, _ := testkit.Pair(t, "unix")
	tr := transport.New(own, transport.Config{Backlog: 1})
	if !tr.CanTry() {
		t.Skip("nobody reads for himself here")
	}
	s := &fakeSource{reads: make(chan []*fakeCall)}
	r.SetOpen(true)
	go s.Serve(r, tr, s, func() { s.finished++ })
	return s
}

// end ends the connection, which is the last.
func (s *fakeSource) end(t *testing.T, r *Runner) {
	t.Helper()
	close(s.reads)
	r.SetOpen(false)
	testkit.Equal(t, workersLeft(), 0)
	testkit.Equal(t, s.finished, 1)
}

func elapse(d time.Duration) { <-time.NewTimer(d).C }

// workersLeft counts the goroutines of workers, in a bubble at rest.
func workersLeft() int {
	synctest.Wait()
	return len(testkit.Goroutines("runner.(*workers).work("))
}

// Calls of one read run at once, however many workers are parked, and the loop reads on.
func TestQueuedCallsRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newSource(t, &r)
		for _, n := range []int{3, 1, 20} {
			started, release := make(chan struct{}, n), make(chan struct{})
			var calls []*fakeCall
			for range n {
				calls = append(calls, s.call(func() { started <- struct{}{}; <-release }))
			}
			s.reads <- calls
			s.reads <- nil // it reads on
			synctest.Wait()
			testkit.Equal(t, len(started), n)
			close(release)
			synctest.Wait()
		}
		testkit.Equal(t, workersLeft(), 1+20)
		s.end(t, &r)
	})
}

// The loop becomes the worker of the last call of a read, and another worker the loop.
func TestLoopRunsTheLastOfARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newSource(t, &r)
		s.instead = true
		release := make(chan struct{})
		for range 5 {
			s.reads <- []*fakeCall{s.call(func() { <-release })}
		}
		testkit.Equal(t, workersLeft(), 1+5)
		testkit.Equal(t, s.loops, 1+5)
		close(release)
		synctest.Wait()
		s.reads <- []*fakeCall{s.call(func() {})} // the loop is a worker that was parked
		testkit.Equal(t, workersLeft(), 1+5)
		testkit.Equal(t, s.loops, 1+6)
		s.end(t, &r)
	})
}

// A worker that reads for itself runs the first call that comes. A second one is another's,
// at once.
func TestWorkerRunsWhatItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newSource(t, &r)
		s.instead = true
		release := make(chan struct{})
		blocks := func() *fakeCall { return s.call(func() { <-release }) }
		s.next = [][]*fakeCall{{blocks(), blocks()}}
		s.reads <- []*fakeCall{s.call(func() {})}
		testkit.Equal(t, workersLeft(), 3) // the loop, the worker that has read, and another
		testkit.Equal(t, len(s.next), 0)
		close(release)
		synctest.Wait()
		s.end(t, &r)
	})
}

// A worker whose handler has left it locked to its thread ends, and so does one whose handler ends
// the goroutine. The next call has another.
func TestWorkerEndsWithItsThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newSource(t, &r)
		for _, handler := range []func(){runtime.LockOSThread, runtime.Goexit, func() {}} {
			s.reads <- []*fakeCall{s.call(handler)}
			synctest.Wait()
		}
		testkit.Equal(t, workersLeft(), 1+1)
		elapse(2*workerIdle + 1)
		testkit.Equal(t, workersLeft(), 1)
		s.end(t, &r)
	})
}

// Where each call is to have a goroutine of its own, that ends with the call.
func TestGoroutinePerCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		r.Init(true)
		s := newSource(t, &r)
		s.instead = true
		release := make(chan struct{})
		s.reads <- []*fakeCall{s.call(func() { <-release }), s.call(func() { <-release })}
		synctest.Wait()
		testkit.Equal(t, len(testkit.Goroutines("runner.(*workers).runAlone(")), 2)
		close(release)
		testkit.Equal(t, workersLeft(), 1)
		testkit.Equal(t, len(testkit.Goroutines("runner.(*workers).runAlone(")), 0)
		testkit.Equal(t, s.loops, 1)
		s.end(t, &r)
	})
}

// A worker that is parked keeps no call and no connection.
func TestParkedWorkerForgets(t *testing.T) {
	var w worker
	w.reads, w.own = new(Conn), new(fakeCall)
	own := w.own
	testkit.Equal(t, w.endReading(), own)
	testkit.Equal(t, w.reads, nil)
	testkit.Equal(t, w.own, nil)
}
