//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/ttrpc"
)

// uxQuickRuns have a method trusted to be quick, if ever.
const uxQuickRuns = 10_000

// uxWorker is a method that is quick, but for texts that have it wait or look.
type uxWorker struct {
	release chan struct{}
	conns   int // how many connections there are, each with a raw client
	readers atomic.Int32
}

// work is quick; "wait" waits for another request of its connection; "look" counts whether one of
// the connections has no reader, other than the goroutine that it runs on.
func (w *uxWorker) work(_ context.Context, in string) (string, error) {
	switch in {
	case "wait":
		<-w.release
	case "look":
		if uxReaders() < w.conns {
			w.readers.Add(1)
		}
	}
	return in, nil
}

// uxReaders counts the goroutines that run code of the package and may be reading a connection: not
// the caller's, nor one that accepts, nor one that waits for something in its own process.
func uxReaders() (n int) {
	for _, stack := range strings.Split(uxStacks(), "\n\n")[1:] {
		head, frames, _ := strings.Cut(stack, "\n")
		frames, _, _ = strings.Cut(frames, "created by ")
		waits := strings.Contains(head, "[chan receive") || strings.Contains(head, "[select")
		if strings.Contains(frames, "containerd/ttrpc") && !strings.Contains(frames, "Accept(") && !waits {
			n++
		}
	}
	return n
}

// uxStacks are those of all goroutines.
func uxStacks() string {
	for buf := make([]byte, 256<<10); ; buf = make([]byte, 2*len(buf)) {
		if n := runtime.Stack(buf, true); n < len(buf) {
			return string(buf[:n])
		}
	}
}

// uxWorkServer serves such a method, and one that releases it.
func uxWorkServer(t *testing.T, conns int) (*uxWorker, *uxServer) {
	if runtime.GOMAXPROCS(0) == 1 { // where no loop runs any
		runtime.GOMAXPROCS(2)
		t.Cleanup(func() { runtime.GOMAXPROCS(1) })
	}
	w := &uxWorker{release: make(chan struct{}), conns: conns}
	return w, uxServe(t, &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"work":    uxUnary(w.work),
		"release": uxUnary(func(_ context.Context, in string) (string, error) { w.release <- struct{}{}; return in, nil }),
	}})
}

// uxQuickServer is a raw client of a server with such a method.
func uxQuickServer(t *testing.T) (*uxWorker, *uxCaller) {
	w, s := uxWorkServer(t, 1)
	return w, &uxCaller{s.raw(), 1, s.Server}
}

// uxCaller makes calls one after the other.
type uxCaller struct {
	*uxRaw
	id     uint32
	server *ttrpc.Server
}

func (c *uxCaller) call(method, in string) {
	c.t.Helper()
	c.send(uxRequest(c.id, method, in))
	c.want(uxAnswer(c.id, in))
	c.id += 2
}

// looks has quick runs, and after each hundred looks whether the reader ran one.
func (c *uxCaller) looks(w *uxWorker) int32 {
	c.t.Helper()
	w.readers.Store(0)
	for i := range uxQuickRuns {
		if c.call("work", ""); i%100 == 99 {
			c.call("work", "look")
		}
	}
	return w.readers.Load()
}

// takeOver has a run, of a method that has just been quick for long, wait for another request of
// the connection, which somebody else has to read then.
func (c *uxCaller) takeOver() {
	c.t.Helper()
	for range 300 {
		c.call("work", "")
	}
	c.mayWait()
}

// mayWait has a run wait.
func (c *uxCaller) mayWait() {
	c.t.Helper()
	ttrpc.ForceInline(c.server)
	c.send(uxRequest(c.id, "work", "wait"))
	c.send(uxRequest(c.id+2, "release", ""))
	got := []string{c.recv().String(), c.recv().String()}
	one, two := uxAnswer(c.id, "wait"), uxAnswer(c.id+2, "")
	if fmt.Sprint(got) != fmt.Sprint([]string{one, two}) && fmt.Sprint(got) != fmt.Sprint([]string{two, one}) {
		c.t.Fatal(got)
	}
	c.id += 4
}

// takeOverFromLoop does so until it was the loop that ran the method: where the machine is slow, or
// the client quick, a worker may have. A slow machine may also have had a brief run taken over
// from.
func (c *uxCaller) takeOverFromLoop() {
	c.t.Helper()
	for !ttrpc.TookOver(c.server) {
		ttrpc.ForceInline(c.server)
		c.call("work", "")
		c.mayWait()
	}
}

// The first run that somebody has to take over the reading from ends the trust in its method, for
// good.
func TestTakeOverEndsRunsByTheReaderForGood(t *testing.T) {
	w, c := uxQuickServer(t)
	before := c.looks(w)
	t.Logf("before: the reader ran the method in %d of 100 looks", before)
	c.takeOverFromLoop()
	for range 3 {
		if n := c.looks(w); n > 0 {
			t.Fatalf("after a take-over the reader ran the method in %d of 100 looks", n)
		}
	}
}

// A take-over on another connection counts as much: what is known is known of the method.
func TestTakeOverCountsForAllConnections(t *testing.T) {
	w, s := uxWorkServer(t, 2)
	first, second := &uxCaller{s.raw(), 1, s.Server}, &uxCaller{s.raw(), 1, s.Server}
	second.call("work", "")
	first.looks(w)
	first.takeOverFromLoop()
	if n := second.looks(w); n > 0 {
		t.Errorf("the reader ran the method in %d of 100 looks", n)
	}
}

// With one processor the reader runs no method: nobody else could take over while it computes.
func TestOneProcessorRunsNothingByTheReader(t *testing.T) {
	w, c := uxQuickServer(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n := c.looks(w); n > 0 {
		t.Errorf("the reader ran the method in %d of 100 looks", n)
	}
}

// However quick it was, a method may wait for another request of its connection.
func TestQuickMethodMayWait(t *testing.T) {
	_, c := uxQuickServer(t)
	for range 50 {
		for range 500 {
			c.call("work", "")
		}
		c.takeOver()
	}
}
