//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
)

// goroutineID is the number of the caller's goroutine, as its stack has it.
func goroutineID() string {
	var b [64]byte
	return string(bytes.Fields(b[:runtime.Stack(b[:], false)])[1])
}

// where answers with its goroutine; told to, it locks that to its thread.
func where(_ context.Context, in string) (string, error) {
	switch in {
	case "lock":
		runtime.LockOSThread()
	case "lock and unlock":
		runtime.LockOSThread()
		runtime.UnlockOSThread()
	}
	return goroutineID(), nil
}

func wantWhere(t *testing.T, c *ttrpc.Client, in string) string {
	t.Helper()
	out, err := call(bg, c, "where", in)
	check(t, err)
	return out
}

// However many workers are at hand, calls that come in one piece all run at once:
// none waits for another to return.
func TestCallsDoNotWaitForEachOther(t *testing.T) {
	for _, parked := range []int{0, 1, 7, 30} {
		t.Run(fmt.Sprint(parked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := newGate(), newGate()
				r := onPipe(t, withMethod("gate", first.unary()), withMethod("second", second.unary()))
				gatedCalls(t, pipeClient(t, r), first, parked)
				p := newRawPeer(t, pipeTo(t, r))
				var burst []rawFrame
				for i := range uint32(20) {
					burst = append(burst, request(2*i+1, "second", "x"))
				}
				p.send(burst...)
				synctest.Wait()
				equal(t, len(second.started), len(burst))
				p.send(burst[0]) // a refusal, beside them
				equal(t, p.recv().id, 1)
				second.open()
				for range burst {
					p.recv()
				}
			})
		})
	}
}

// A call that takes long does not keep the worker of the next: calls one after the other share one.
func TestCallsInARowShareAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		r := onPipe(t, withMethod("where", unary(where)), withMethod("gate", g.unary()))
		c := pipeClient(t, r)
		long := goCall(bg, c, "gate", "")
		synctest.Wait()
		id := wantWhere(t, c, "")
		for range 200 {
			synctest.Wait() // it has parked
			equal(t, wantWhere(t, c, "lock and unlock"), id)
		}
		g.open()
		check(t, <-long)
	})
}

// Workers stay as long as there are connections. With the last all end that run nothing, and the
// others as their handlers return.
func TestWorkersEndWithTheLastConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, late := newGate(), newGate()
		r := onPipe(t, withMethod("gate", g.unary()), withMethod("late", late.unary()))
		before := libraryGoroutines()
		one, other := pipeClient(t, r), pipeClient(t, r)
		gatedCalls(t, one, g, 10)
		held := goCall(bg, other, "late", "") // on one of the ten
		synctest.Wait()
		check(t, one.Close())
		equal(t, libraryGoroutines()-before >= 10, true)
		check(t, other.Close())
		wantExactly(t, <-held, ttrpc.ErrClosed)
		equal(t, libraryGoroutines()-before, 1)
		late.open()
		equal(t, libraryGoroutines()-before, 0)
		wantEcho(t, pipeClient(t, r)) // and a new one has its own
	})
}

// A worker whose handler has left it locked to its thread ends, and the thread with it, however
// often the method has been harmless before.
func TestLockedWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, withMethod("where", unary(where)))
		c := pipeClient(t, r)
		before := libraryGoroutines()
		for _, harmless := range []int{0, 1, 10, 200} {
			for range harmless {
				wantWhere(t, c, "lock and unlock")
				equal(t, libraryGoroutines()-before, 1)
			}
			locked := wantWhere(t, c, "lock")
			equal(t, libraryGoroutines()-before, 0)
			equal(t, wantWhere(t, c, "") == locked, false)
			equal(t, libraryGoroutines()-before, 1) // it has parked, so the next call is its own
		}
	})
}

// Where each call is to have a goroutine of its own, none is kept and none is used twice.
func TestGoroutinePerCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		r := onPipe(t, ttrpc.WithServerGoroutinePerCall(), withMethod("where", unary(where)), withMethod("gate", g.unary()))
		c := pipeClient(t, r)
		before := libraryGoroutines()
		gatedCalls(t, c, g, 10)
		equal(t, libraryGoroutines()-before, 0)
		seen := map[string]bool{}
		for range 50 {
			seen[wantWhere(t, c, "lock")] = true
			equal(t, libraryGoroutines()-before, 0)
		}
		equal(t, len(seen), 50)
	})
}

// A handler that ends its goroutine takes nobody's place: the next calls run.
func TestWorkerWhoseHandlerExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, withMethod("exit", unary(func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil })))
		c := pipeClient(t, r)
		before := libraryGoroutines()
		for range 20 {
			if _, err := call(bg, c, "exit", ""); err == nil {
				t.Error("it has been answered")
			}
			equal(t, libraryGoroutines()-before, 0)
			wantEcho(t, c)
			elapse(4*time.Second + 1)
		}
	})
}

// After all connections have gone, and new ones have come, no worker ends before its time.
func TestWorkersStayAfterAPause(t *testing.T) {
	const idle = 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		first, second := newGate(), newGate()
		r := onPipe(t, withMethod("gate", first.unary()), withMethod("second", second.unary()))
		c := pipeClient(t, r)
		gatedCalls(t, c, first, 10)
		elapse(idle + 1) // all ten are known to be unused
		check(t, c.Close())
		synctest.Wait()
		c = pipeClient(t, r)
		before := libraryGoroutines()
		var calls []<-chan error
		for range 10 {
			calls = append(calls, goCall(bg, c, "second", ""))
		}
		synctest.Wait()
		second.release <- struct{}{} // one returns, and the others later
		elapse(idle - idle/10)
		second.open()
		for _, result := range calls {
			check(t, <-result)
		}
		equal(t, libraryGoroutines()-before, 10)
		elapse(idle / 2)
		equal(t, libraryGoroutines()-before >= 9, true)
		elapse(2 * idle)
		equal(t, libraryGoroutines()-before, 0)
	})
}
