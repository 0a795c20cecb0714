//go:build go1.25

package runner

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
)

// severalProcs has more than one processor, as far as the runtime knows,
// until the function that it returns is called.
func severalProcs() (restore func()) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(2, before))
	return func() { runtime.GOMAXPROCS(before) }
}

// So many brief runs in a row make a method brief, and one that takes longer begins anew.
func TestBrevityCountsRunsInARow(t *testing.T) {
	var b brevity
	brief := func(n int) {
		for range n {
			b.observe(briefRun, 0, false)
		}
	}
	brief(briefRuns - 1)
	testkit.Equal(t, b.brief.Load(), briefRuns-1)
	b.observe(briefRun+1, 0, false)
	testkit.Equal(t, b.brief.Load(), 0)
	brief(3 * briefRuns)
	testkit.Equal(t, b.brief.Load(), briefRuns)
	b.observe(briefRun+1000, 1000, false) // a nanosecond a byte
	testkit.Equal(t, b.brief.Load(), briefRuns)
	b.observe(briefRun+1001, 1000, false)
	testkit.Equal(t, b.brief.Load(), 0)
	brief(1)
	testkit.Equal(t, b.brief.Load(), 1)
}

// What has had to be taken over from, or has kept its goroutine's thread, is never brief again.
func TestBrevityEndsForGood(t *testing.T) {
	for name, end := range map[string]func(b *brevity){
		"taken over":   func(b *brevity) { b.brief.Store(tookOver) },
		"locked":       func(b *brevity) { b.observe(0, 0, true) },
		"locked, long": func(b *brevity) { b.observe(time.Second, 0, true) },
	} {
		t.Run(name, func(t *testing.T) {
			var b brevity
			for range briefRuns {
				b.observe(0, 0, false)
			}
			end(&b)
			for range 2 * briefRuns {
				b.observe(0, 0, false)
				testkit.Equal(t, b.brief.Load(), tookOver)
			}
			b.observe(time.Second, 0, false)
			testkit.Equal(t, b.brief.Load(), tookOver)
		})
	}
}

// A take-over that comes while a run of the same method, on another connection,
// is being counted counts.
func TestBrevityEndsWhileItIsCounted(t *testing.T) {
	for range 1000 {
		var b brevity
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				for j := range 10 {
					b.observe(time.Duration(j%5/4)*time.Second, 0, false)
				}
				if i == 0 {
					b.brief.Store(tookOver)
				}
			})
		}
		all.Wait()
		testkit.Equal(t, b.brief.Load(), tookOver)
	}
}

// A slot is one call's. With all taken there is none.
func TestInlineSlotIsOneCalls(t *testing.T) {
	var in inline
	c, m := new(Conn), new(Method)
	seen := map[*inlineSlot]bool{}
	for range inlineSlots {
		slot := in.claim(c, m)
		testkit.Equal(t, slot.conn.Load(), c)
		testkit.Equal(t, slot.method.Load(), m)
		seen[slot] = true
	}
	testkit.Equal(t, len(seen), inlineSlots)
	testkit.Equal(t, in.claim(c, m), nil)
	in.slots[7].conn.Store(nil)
	testkit.Equal(t, in.claim(c, m), &in.slots[7])
}

// watched reports whether there is a monitor after so many more calls.
func watched(in *inline, calls int) (watched bool) {
	for range calls {
		watched = in.watch()
	}
	return watched
}

// The monitor starts where calls come often, stops when none has come for some ticks,
// and starts again.
func TestMonitorRunsWhileCallsComeOften(t *testing.T) {
	defer severalProcs()()
	synctest.Test(t, func(t *testing.T) {
		in := new(inline)
		in.since = transport.Clock()
		for range 10 { // of calls that come seldom
			testkit.Equal(t, watched(in, inlinePace-1), false)
			elapse(inlineTime + 1)
			testkit.Equal(t, watched(in, 1), false)
		}
		for range 3 {
			testkit.Equal(t, watched(in, inlinePace-1), false)
			testkit.Equal(t, watched(in, 1), true)
			for range 3 * inlineIdle { // from now on one call a tick will do
				elapse(inlineTick)
				synctest.Wait()
				testkit.Equal(t, watched(in, 1), true)
			}
			for range inlineIdle + 2 {
				elapse(inlineTick)
			}
			synctest.Wait()
			testkit.Equal(t, in.ticking.Load(), false)
			for in.calls.Load()%inlinePace != 0 { // to where the next round begins
				testkit.Equal(t, watched(in, 1), false)
			}
		}
	})
}

// The monitor stays while a call is being run, also one that nobody takes over from.
func TestMonitorStaysWhileOneIsRun(t *testing.T) {
	defer severalProcs()()
	synctest.Test(t, func(t *testing.T) {
		in := new(inline)
		testkit.Equal(t, watched(in, 2*inlinePace), true)
		slot := in.claim(new(Conn), new(Method)) // whose turn is even: it is about to begin
		for range 3 * inlineIdle {
			elapse(inlineTick)
		}
		synctest.Wait()
		testkit.Equal(t, in.ticking.Load(), true)
		slot.conn.Store(nil)
		for range inlineIdle + 2 {
			elapse(inlineTick)
		}
		synctest.Wait()
		testkit.Equal(t, in.ticking.Load(), false)
	})
}

// With one processor there is no monitor, and one that runs stops.
func TestNoMonitorOnOneProcessor(t *testing.T) {
	defer severalProcs()()
	synctest.Test(t, func(t *testing.T) {
		in := new(inline)
		testkit.Equal(t, watched(in, 2*inlinePace), true)
		runtime.GOMAXPROCS(1)
		elapse(inlineTick)
		synctest.Wait()
		testkit.Equal(t, in.ticking.Load(), false)
		for range 10 * inlinePace {
			testkit.Equal(t, watched(in, 1), false)
		}
	})
}

// Whoever is in his slot for a whole tick is taken over from, and who has gone on meanwhile is not.
func TestLookSeesWhoStays(t *testing.T) {
	var slot inlineSlot
	c := new(Conn)
	testkit.Equal(t, new(inline).look(&slot), false)
	slot.conn.Store(c)
	slot.method.Store(new(Method))
	for range 10 { // of calls that follow each other
		c.turn.Add(1)
		testkit.Equal(t, new(inline).look(&slot), true)
		c.turn.Add(1)
		testkit.Equal(t, new(inline).look(&slot), true)
		testkit.Equal(t, new(inline).look(&slot), true)
	}
	testkit.Equal(t, slot.method.Load().brief.Load(), 0)
	testkit.Equal(t, slot.conn.Load(), c)
}

// newInlineSource is a newSource whose calls the loop runs, in a bubble.
func newInlineSource(t *testing.T, r *Runner) *fakeSource {
	s := newSource(t, r)
	s.here = true
	ForceInline(r, &s.method)
	return s
}

// loopsThatRun counts the goroutines that run a call as the loop, in a bubble at rest.
func loopsThatRun() int {
	synctest.Wait()
	return len(testkit.Goroutines("runner.(*inline).run("))
}

// isRunByLoop reports whether the handler that asks is run by the loop.
func isRunByLoop() bool {
	b := make([]byte, 16<<10)
	return bytes.Contains(b[:runtime.Stack(b, false)], []byte("runner.(*inline).run("))
}

// The loop runs the calls of a brief method one after the other, and flushes their answers at the
// end of the read: no worker is woken.
func TestLoopRunsBriefCalls(t *testing.T) {
	defer severalProcs()()
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newInlineSource(t, &r)
		var ran []int
		var calls []*fakeCall
		for i := range inlineFlush + 3 {
			calls = append(calls, s.call(func() { testkit.Equal(t, isRunByLoop(), true); ran = append(ran, i) }))
		}
		s.reads <- calls
		synctest.Wait()
		testkit.Equal(t, len(ran), len(calls))
		testkit.Equal(t, slices.IsSorted(ran), true)
		testkit.Equal(t, s.soon, true)
		testkit.Equal(t, s.answers, 0)
		s.reads <- nil
		synctest.Wait()
		testkit.Equal(t, s.soon, false)
		testkit.Equal(t, s.loops, 1)
		testkit.Equal(t, workersLeft(), 1)
		s.end(t, &r)
	})
}

// A brief call that takes long is taken over from: another loop reads on, and the method is run by
// workers from then on.
func TestLoopIsTakenOverFrom(t *testing.T) {
	defer severalProcs()()
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newInlineSource(t, &r)
		release := make(chan struct{})
		block := func() { <-release }
		s.reads <- []*fakeCall{s.call(block)}
		testkit.Equal(t, loopsThatRun(), 1)
		elapse(3 * inlineTick)
		synctest.Wait()
		testkit.Equal(t, s.loops, 2)
		testkit.Equal(t, TookOver(&s.method), true)
		s.reads <- []*fakeCall{s.call(block)}
		testkit.Equal(t, loopsThatRun(), 1) // the first call's, which is the loop no more
		testkit.Equal(t, len(testkit.Goroutines("runner.(*worker).run(")), 1)
		close(release)
		testkit.Equal(t, loopsThatRun(), 0)
		s.end(t, &r)
	})
}

// A handler that ends the loop's goroutine has another one read on.
func TestHandlerEndsTheLoop(t *testing.T) {
	defer severalProcs()()
	synctest.Test(t, func(t *testing.T) {
		var r Runner
		s := newInlineSource(t, &r)
		s.reads <- []*fakeCall{s.call(runtime.Goexit)}
		synctest.Wait()
		testkit.Equal(t, s.loops, 2)
		testkit.Equal(t, TookOver(&s.method), false)
		ran := false
		s.reads <- []*fakeCall{s.call(func() { ran = true })}
		synctest.Wait()
		testkit.Equal(t, ran, true)
		s.end(t, &r)
	})
}

// What the loop may not run a worker runs.
func TestLoopLeavesCallsToWorkers(t *testing.T) {
	defer severalProcs()()
	for name, change := range map[string]func(r *Runner, s *fakeSource, call *fakeCall){
		"who reads may not":       func(_ *Runner, s *fakeSource, _ *fakeCall) { s.here = false },
		"the handler may wait":    func(_ *Runner, s *fakeSource, c *fakeCall) { c.SetRecord(&s.Conn, &s.method, 1, true) },
		"the method is not brief": func(_ *Runner, s *fakeSource, _ *fakeCall) { s.method.observe(time.Second, 0, false) },
		"no slot is free":         func(r *Runner, _ *fakeSource, _ *fakeCall) { TakeSlots(r) },
		"nobody watches":          func(r *Runner, _ *fakeSource, _ *fakeCall) { r.inline.ticking.Store(false) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r Runner
				s := newInlineSource(t, &r)
				release := make(chan struct{})
				call := s.call(func() { <-release })
				change(&r, s, call)
				s.reads <- []*fakeCall{call}
				testkit.Equal(t, loopsThatRun(), 0)
				testkit.Equal(t, len(testkit.Goroutines("runner.(*worker).run(")), 1)
				close(release)
				s.end(t, &r)
			})
		})
	}
}
