//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
)

var errRecovered = errors.New("recovered")

// brisk is a rig with the method "work", which answers by whom it is run: byLoop or byWorker. What
// its text tells it to do it does before.
type brisk struct {
	*rig
	t       *testing.T
	started chan string   // by whom a "block" is run
	release chan struct{} // has it go on
	ended   chan error    // of the context of a "wait", which ends with that
}

const (
	byLoop   = "loop"
	byWorker = "worker"
)

func newBrisk(t *testing.T, opts ...any) *brisk {
	t.Helper()
	if runtime.GOMAXPROCS(0) == 1 { // where no loop runs any
		runtime.GOMAXPROCS(2)
		t.Cleanup(func() { runtime.GOMAXPROCS(1) })
	}
	b := &brisk{t: t, started: make(chan string, 1), release: make(chan struct{}, 1), ended: make(chan error, 1)}
	b.rig = serve(t, append(opts, withMethod("work", unary(b.work)))...)
	return b
}

func (b *brisk) work(ctx context.Context, in string) (string, error) {
	by := byWorker
	if ttrpc.IsRunByLoop() {
		by = byLoop
	}
	switch in {
	case "block":
		b.started <- by
		<-b.release
	case "block, exit":
		b.started <- by
		<-b.release
		runtime.Goexit()
	case "block, panic":
		b.started <- by
		<-b.release
		panic(by)
	case "wait":
		b.started <- by
		select {
		case <-ctx.Done():
			b.ended <- ctx.Err()
		case <-b.release:
		}
	case "long":
		for end := time.Now().Add(100 * time.Microsecond); time.Now().Before(end); {
		}
	case "lock":
		runtime.LockOSThread()
	case "exit":
		b.started <- by
		runtime.Goexit()
	case "panic":
		b.started <- by
		panic(by)
	}
	return by, nil
}

// trust has the loop run the method. Runs that the machine makes long begin anew, and one that it
// makes so long that somebody takes over does not count.
func (b *brisk) trust(c *ttrpc.Client) {
	b.t.Helper()
	eventually(b.t, "the loop to run the method", func() bool {
		ttrpc.ForgetTakeOvers(b.Server)
		if raceEnabled { // runs are long there
			ttrpc.ForceInline(b.Server)
		}
		return b.call(c, "") == byLoop
	})
}

func (b *brisk) call(c *ttrpc.Client, in string) (by string) {
	b.t.Helper()
	by, err := call(bg, c, "work", in)
	check(b.t, err)
	return by
}

// start has the loop run a call that says by whom it is run. Those that a worker has begun go on.
func (b *brisk) start(c *ttrpc.Client, in string) (result <-chan error) {
	b.t.Helper()
	eventually(b.t, "the loop to run "+in, func() bool {
		b.trust(c)
		ttrpc.ForceInline(b.Server)
		result = goCall(bg, c, "work", in)
		if wait(b.t, b.started, "the call's start") == byLoop {
			return true
		}
		if in != "exit" && in != "panic" {
			b.release <- struct{}{}
		}
		<-result
		return false
	})
	return result
}

// wantWorkers makes many calls, none of which the loop may run.
func (b *brisk) wantWorkers(c *ttrpc.Client, calls int) {
	b.t.Helper()
	for i := range calls {
		if by := b.call(c, ""); by != byWorker {
			b.t.Fatalf("call %d is run by the %s", i, by)
		}
	}
}

// wantAnew makes a run of one client long, and wants a row of runs for another to begin anew. A run
// is counted when it has been answered, so the first runs behind it may come before.
func (b *brisk) wantAnew(long, c *ttrpc.Client) {
	b.t.Helper()
	b.call(long, "long")
	eventually(b.t, "a worker to run it", func() bool { return b.call(c, "") == byWorker })
	b.wantWorkers(c, trustRuns/2)
}

const (
	trustRuns = 16   // of a method until it may be run by a loop
	manyRuns  = 1000 // after which it would be, if it ever were again
)

// A method is run by the loop once it has been brief 16 times in a row. A run that takes longer
// begins anew, whoever runs it.
func TestLoopRunsWhatWasBrief(t *testing.T) {
	b := newBrisk(t)
	c := b.client()
	b.wantWorkers(c, trustRuns)
	for range 3 {
		b.trust(c)
		b.wantAnew(c, c)
	}
}

// What is known is known of the method, not of a connection; and of no other method.
func TestBrevityIsOfTheMethod(t *testing.T) {
	b := newBrisk(t)
	first, second := b.client(), b.client()
	b.trust(first)
	b.wantAnew(second, first)
	for range trustRuns {
		wantEcho(t, first)
	}
	b.trust(second)
}

// A call that blocks on the loop is taken over from, which goes on with all that was read,
// and it ends as it would have.
func TestTakeOverReadsOn(t *testing.T) {
	const behind = 20
	before := 5
	if raceEnabled { // runs are long there: with one of them the method is no brief one any more
		before = 0
	}
	b := newBrisk(t)
	c, p := b.client(), b.raw()
	id := uint32(1)
	burst := func(before int) (requests []rawFrame, wanted map[uint32]bool) {
		wanted = map[uint32]bool{}
		for i := range before + 1 + behind {
			method, in := "echo", "x"
			switch {
			case i < before:
				method = "work" // its answers leave together, perhaps after the blocking call's start
				in = ""
			case i == before:
				method, in = "work", "block"
			}
			if i != before {
				wanted[id] = true
			}
			requests = append(requests, request(id, method, in))
			id += 2
		}
		return requests, wanted
	}
	eventually(t, "the loop to run it", func() bool {
		b.trust(c)
		requests, wanted := burst(before)
		blocked := requests[before].id
		ttrpc.ForceInline(b.Server)
		p.send(requests...)
		by := wait(t, b.started, "the blocking call's start")
		for len(wanted) > 0 {
			f := p.recv()
			if !wanted[f.id] {
				t.Fatal("not wanted:", f)
			}
			delete(wanted, f.id)
		}
		p.wantUsable(id)
		id += 2
		b.release <- struct{}{}
		p.wantAnswer(blocked, by)
		return by == byLoop
	})
	b.wantWorkers(c, manyRuns) // for good, and on other connections too
}

// So it is with a call that the loop runs alone, whatever comes of it in the end:
// nobody reads twice.
func TestTakenOverCallsEnd(t *testing.T) {
	recovery := ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return errRecovered })
	for in, want := range map[string]func(t testing.TB, err error){
		"block": check,
		"block, exit": func(t testing.TB, err error) {
			wantStatus(t, err, codes.Unknown, "ttrpc: handler exited without returning")
		},
		"block, panic": func(t testing.TB, err error) { wantStatus(t, err, codes.Unknown, errRecovered.Error()) },
	} {
		t.Run(in, func(t *testing.T) {
			b := newBrisk(t, recovery)
			c := b.client()
			result := b.start(c, in)
			for range 50 {
				wantEcho(t, c)
			}
			b.release <- struct{}{}
			want(t, wait(t, result, "the answer"))
			b.wantWorkers(c, manyRuns)
			b.wantWorkers(b.client(), manyRuns)
		})
	}
}

// A handler that ends the loop's goroutine, or panics, is answered for, and the connection goes on.
func TestLoopSurvivesItsHandlers(t *testing.T) {
	recovery := ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return errRecovered })
	for in, want := range map[string]func(t testing.TB, err error){
		"exit": func(t testing.TB, err error) {
			wantStatus(t, err, codes.Unknown, "ttrpc: handler exited without returning")
		},
		"panic": func(t testing.TB, err error) { wantStatus(t, err, codes.Unknown, errRecovered.Error()) },
	} {
		t.Run(in, func(t *testing.T) {
			b := newBrisk(t, recovery)
			c := b.client()
			for range 5 {
				want(t, wait(t, b.start(c, in), "the answer"))
				wantEcho(t, c)
			}
		})
	}
}

// A handler that keeps the loop's thread: another goroutine becomes the loop, after 16 more runs at
// the most, and the method is run by none again.
func TestLoopWhoseThreadIsTaken(t *testing.T) {
	eventually(t, "the loop to run it", func() bool {
		b := newBrisk(t)
		c := b.client()
		b.trust(c)
		ttrpc.ForceInline(b.Server)
		by := b.call(c, "lock")
		for range 16 {
			ttrpc.ForceInline(b.Server)
			b.call(c, "")
		}
		b.wantWorkers(c, manyRuns)
		b.wantWorkers(b.client(), manyRuns)
		return by == byLoop
	})
}

// The connection ends, or the server, while the loop runs a call: its context ends,
// and nothing is left.
func TestEndWhileTheLoopRuns(t *testing.T) {
	for name, end := range map[string]func(b *brisk, c *ttrpc.Client){
		"client closes": func(_ *brisk, c *ttrpc.Client) { c.Close() },
		"server closes": func(b *brisk, _ *ttrpc.Client) { b.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrisk(t)
			c := b.client()
			result := b.start(c, "wait")
			leftovers := ttrpc.ServerLeftovers(b.Server)
			end(b, c)
			wantExactly(t, wait(t, b.ended, "the context's end"), context.Canceled)
			wantExactly(t, wait(t, result, "the call"), ttrpc.ErrClosed)
			check(t, b.Shutdown(bg))
			eventually(t, "nothing to be left", func() bool { return leftovers() == "" })
		})
	}
}

// The client cancels a call that the loop runs: the handler hears it, though the frame has come
// behind its request, to the reader that it keeps busy.
func TestP61CancelWhileTheLoopRuns(t *testing.T) {
	b := newBrisk(t)
	c := b.client()
	var result <-chan error
	var stop context.CancelFunc
	eventually(t, "the loop to run it", func() bool {
		b.trust(c)
		ttrpc.ForceInline(b.Server)
		var ctx context.Context
		ctx, stop = context.WithCancel(bg)
		result = goCall(ctx, c, "work", "wait")
		if wait(t, b.started, "the call's start") == byLoop {
			return true
		}
		stop()
		wantExactly(t, wait(t, b.ended, "the context's end"), context.Canceled)
		wantExactly(t, wait(t, result, "the call"), context.Canceled)
		return false
	})
	stop()
	wantExactly(t, wait(t, b.ended, "the context's end"), context.Canceled)
	wantExactly(t, wait(t, result, "the call"), context.Canceled)
	b.call(c, "")
}

// Shutdown waits for a call that the loop runs, though nobody has come to take over yet,
// and it is answered.
func TestShutdownWhileTheLoopRuns(t *testing.T) {
	for _, late := range []bool{false, true} {
		b := newBrisk(t)
		c := b.client()
		result := b.start(c, "block")
		if late {
			wantEcho(t, c) // somebody has taken over
		}
		down := make(chan error, 1)
		go func() { down <- b.Shutdown(bg) }()
		wait(t, b.served, "Serve's return")
		equal(t, len(down), 0)
		b.release <- struct{}{}
		check(t, wait(t, result, "the answer"))
		check(t, wait(t, down, "Shutdown"))
	}
}

// With one processor nobody could take over, and a call that is to have its goroutine has it.
func TestLoopRunsNothing(t *testing.T) {
	t.Run("one processor", func(t *testing.T) {
		b := newBrisk(t)
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		b.wantWorkers(b.client(), 5*manyRuns)
	})
	t.Run("goroutine per call", func(t *testing.T) {
		b := newBrisk(t, ttrpc.WithServerGoroutinePerCall())
		b.wantWorkers(b.client(), 5*manyRuns)
	})
	t.Run("a conn that is no descriptor", func(t *testing.T) {
		b := newBrisk(t, network("pipe"))
		b.wantWorkers(b.client(), manyRuns)
	})
	t.Run("no slot", func(t *testing.T) {
		b := newBrisk(t)
		c := b.client()
		b.trust(c)
		free := ttrpc.TakeSlots(b.Server)
		b.wantWorkers(c, manyRuns)
		free()
		b.trust(c)
	})
}

// When nobody calls the monitor stops, and with the next calls it starts again.
func TestMonitorStopsAndStarts(t *testing.T) {
	b := newBrisk(t)
	c := b.client()
	for range 3 {
		eventually(t, "the monitor to run", func() bool { b.trust(c); return ttrpc.MonitorRuns(b.Server) })
		eventually(t, "the monitor to stop", func() bool { return !ttrpc.MonitorRuns(b.Server) })
	}
}
