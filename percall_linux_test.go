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

// sfGoroutine is the number of the goroutine it is called in, which is never given twice.
func sfGoroutine() string {
	_, after, _ := strings.Cut(string(debug.Stack()), "goroutine ")
	number, _, _ := strings.Cut(after, " ")
	return number
}

// sfLabelled reports whether a handler's goroutine has the profiler's label of the test.
func sfLabelled() bool {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1) // writing to a buffer does not fail
	for entry := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(entry, "sfLabelled") { // of those that are here
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
			return sfText("panics on faults"), nil
		}
		if sfLabelled() {
			return sfText("labelled"), nil
		}
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("sf", "left")))
		return sfText("goroutine " + sfGoroutine()), nil
	}
	_, l := sfServe(t, nil, sfDesc(
		map[string]ttrpc.Method{"act": sfMethod(func(ctx context.Context, _ string) (any, error) { return leave(ctx) })},
		map[string]ttrpc.StreamHandler{"act stream": func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
			m := sfText("")
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
	c, other := sfClient(t, sfDial(t, l)), sfClient(t, sfDial(t, l))
	seen := map[string]bool{}
	for range 200 { // quick ones, so that the reader would run them
		for _, where := range []string{sfUnary(t, c, ""), sfStream(t, other, ""), sfUnary(t, other, "")} {
			if !strings.HasPrefix(where, "goroutine ") || seen[where] {
				t.Fatalf("%s, or seen before", where)
			}
			seen[where] = true
		}
	}
}

// With the option a taken thread runs nothing else either, however quick its method is.
func TestTakenThreadWithGoroutinePerCall(t *testing.T) {
	dial := sfThreads(t, ttrpc.WithServerGoroutinePerCall())
	c, other := dial(), dial()
	usual := sfRest(sfUnary(t, c, "where"))
	for range 400 {
		sfUnary(t, c, "where")
	}
	taken := sfThread(sfUnary(t, c, "lock"))
	sfWantElsewhere(t, taken, usual, func(int) string { return sfUnary(t, c, "where") })
	sfWantElsewhere(t, taken, usual, func(int) string { return sfStream(t, other, "where") })
}
