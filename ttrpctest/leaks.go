package ttrpctest

import (
	"runtime"
	"strings"
	"time"
)

// CheckLeaks has the test fail when goroutines of package ttrpc, or of handlers and callers that
// are in it, have begun since the call and outlive the test: those of a client that nobody has
// closed, of a server that nobody has shut down, of a stream that nobody has read to its end. It
// reports their stacks. At the end of the test it waits for them for up to ten seconds.
//
// Call it first in a test: cleanups run in the reverse order, and so it looks when all others are
// done. A test that has failed anyway is not looked at. Tests that run in parallel, and servers
// that outlive the test, have goroutines which this takes for the test's.
func CheckLeaks(t TB) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		t.Helper()
		if t.Failed() {
			return
		}
		if left := leaked(before); len(left) > 0 {
			t.Errorf("ttrpctest: the test has left %d goroutines of ttrpc behind:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	})
}

// leaked returns the stacks of goroutines that were not there before and do not end. The runtime
// tells nobody of the end of a goroutine, so it is asked again after growing pauses.
func leaked(before map[string]string) (left []string) {
	var waited time.Duration
	for pause := time.Millisecond; ; pause *= 2 {
		left = nil
		for id, stack := range goroutines() {
			if _, old := before[id]; !old {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || waited >= endTimeout {
			return left
		}
		timer := time.NewTimer(pause)
		<-timer.C
		waited += pause
	}
}

// goroutines returns the stacks, by their goroutines' numbers, that are in the library: but for the
// caller's, and for those of tests.
func goroutines() map[string]string {
	found := make(map[string]string)
	for i, stack := range strings.Split(allStacks(), "\n\n") {
		if i == 0 || strings.Contains(stack, "\ntesting.tRunner(") {
			continue
		}
		if strings.Contains(stack, "github.com/containerd/ttrpc.") || strings.Contains(stack, "github.com/containerd/ttrpc/internal/") {
			id, _, _ := strings.Cut(stack, " [")
			found[id] = strings.TrimSpace(stack)
		}
	}
	return found
}

// allStacks returns the stacks of all goroutines, the caller's first.
func allStacks() string {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return string(buf[:n])
		}
	}
}
