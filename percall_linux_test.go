//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
)

// goroutine is the number of the goroutine it is called in, which is never given twice.
func goroutine() string {
	_, after, _ := strings.Cut(string(debug.Stack()), "goroutine ")
	number, _, _ := strings.Cut(after, " ")
	return number
}

// labelled reports whether a handler's goroutine has the profiler's label of the test.
func labelled() bool {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // writing to a buffer does not fail
	for entry := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(entry, "labelled") { // of those that are here
			return strings.Contains(entry, `labels: {"sf":"left"}`)
		}
	}
	return false
}

// Each call has a goroutine that nothing has run in before and nothing will: whatever a handler
// leaves behind in it goes with it. Also the one that reads runs none.
func TestWithServerGoroutinePerCall(t *testing.T) {
	leave := func(ctx context.Context) (any, error) {
		if debug.SetPanicOnFault(true) {
			return text("panics on faults"), nil
		}
		if labelled() {
			return text("labelled"), nil
		}
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("sf", "left")))
		return text("goroutine " + goroutine()), nil
	}
	_, l := serveOn(t, nil, serviceOf(
		map[string]ttrpc.Method{"act": methodOf(func(ctx context.Context, _ string) (any, error) { return leave(ctx) })},
		map[string]ttrpc.StreamHandler{"act stream": func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			m := text("")
			if err := ss.RecvMsg(m); err != nil {
				return nil, err
			}
			out, err := leave(ctx)
			if err != nil {
				return nil, err
			}
			return nil, ss.SendMsg(out)
		}},
	), ttrpc.WithServerGoroutinePerCall())
	c, other := newClient(t, dial(t, l)), newClient(t, dial(t, l))
	seen := map[string]bool{}
	for range 200 { // quick ones, so that the reader would run them
		for _, where := range []string{actUnary(t, c, ""), actStream(t, other, ""), actUnary(t, other, "")} {
			if !strings.HasPrefix(where, "goroutine ") || seen[where] {
				t.Fatalf("%s, or seen before", where)
			}
			seen[where] = true
		}
	}
}

// With the option a taken thread runs nothing else either, however quick its method is.
func TestTakenThreadWithGoroutinePerCall(t *testing.T) {
	dial := threads(t, ttrpc.WithServerGoroutinePerCall())
	c, other := dial(), dial()
	usual := rest(actUnary(t, c, "where"))
	for range 400 {
		actUnary(t, c, "where")
	}
	taken := thread(actUnary(t, c, "lock"))
	there := countThere(t, taken, usual, func(int) string { return actUnary(t, c, "where") })
	there += countThere(t, taken, usual, func(int) string { return actStream(t, other, "where") })
	equal(t, there, 0)
}
