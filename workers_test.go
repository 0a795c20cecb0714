//go:build go1.25

package ttrpc_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/testkit"
)

// libraryGoroutines counts the goroutines that the library runs, or that are in it, in a bubble at
// rest.
func libraryGoroutines() int {
	synctest.Wait()
	n := 0
	for _, stack := range testkit.Goroutines("containerd/ttrpc.", "containerd/ttrpc/internal/runner.") {
		if strings.Contains(stack, "synctest bubble") { // else it is a test's before, and about to end
			n++
		}
	}
	return n
}

// gatedCalls makes n calls at once, and lets them go when all have begun.
func gatedCalls(t *testing.T, c *ttrpc.Client, g *gate, n int) {
	t.Helper()
	var calls []<-chan error
	for range n {
		calls = append(calls, goCall(bg, c, "gate", ""))
	}
	synctest.Wait()
	equal(t, len(g.started), n)
	g.open()
	for _, result := range calls {
		check(t, <-result)
	}
}

// Goroutines that have run handlers and are not needed any more end, after two to four seconds; one
// that is used stays.
func TestIdleWorkersEnd(t *testing.T) {
	const idle = 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		r := onPipe(t, withMethod("gate", g.unary()))
		c := pipeClient(t, r)
		before := libraryGoroutines()
		kept := func() int { return libraryGoroutines() - before }
		gatedCalls(t, c, g, 40)
		equal(t, kept(), 40)
		for range 5 { // of half the time each
			elapse(idle / 2)
			wantEcho(t, c)
		}
		equal(t, kept(), 1)
		elapse(2*idle + 1)
		equal(t, kept(), 0)
		wantEcho(t, c)
	})
}

// No more than 1024 of them are kept, and all end with the server, whatever they do.
func TestKeptWorkersAreBounded(t *testing.T) {
	const keep = 1024
	synctest.Test(t, func(t *testing.T) {
		g := &gate{make(chan string, 2*keep), make(chan struct{})}
		r := onPipe(t, withMethod("gate", g.unary()))
		c := pipeClient(t, r)
		before := libraryGoroutines()
		gatedCalls(t, c, g, keep+10)
		equal(t, libraryGoroutines()-before, keep)
	})
}
