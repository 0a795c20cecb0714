package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// tally counts what was done and what came of it.
type tally struct {
	connections, scenarios atomic.Int64

	mu     sync.Mutex // guards the rest
	did    map[string]int64
	errors map[string]int64
	wrong  int64
	shown  []string // the first wrong answers
}

func (t *tally) done(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.did == nil {
		t.did = make(map[string]int64)
	}
	t.did[name]++
}

// failed counts an error that was to be expected.
func (t *tally) failed(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.errors == nil {
		t.errors = make(map[string]int64)
	}
	t.errors[kind]++
}

func (t *tally) wrongAnswer(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong++
	if len(t.shown) < 20 {
		t.shown = append(t.shown, fmt.Sprintf(format, args...))
	}
}

// totals returns how much was done, how often an error came, and how often something wrong.
func (t *tally) totals() (did, errors, wrong int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.did {
		did += n
	}
	for _, n := range t.errors {
		errors += n
	}
	return did, errors, t.wrong
}

func (t *tally) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "\n%d connections, %d scenarios by old clients\n", t.connections.Load(), t.scenarios.Load())
	printCounts(w, "done", t.did)
	printCounts(w, "errors by kind, all of them wanted", t.errors)
	fmt.Fprintf(w, "wrong answers: %d\n", t.wrong)
	for _, text := range t.shown {
		fmt.Fprintln(w, "  "+text)
	}
}

func printCounts(w io.Writer, title string, counts map[string]int64) {
	fmt.Fprintln(w, title+":")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "  %9d %s\n", counts[name], name)
	}
}

// failure is an error if anything was wrong, or if nothing was done.
func (t *tally) failure() error {
	did, _, wrong := t.totals()
	if wrong > 0 {
		return fmt.Errorf("%d wrong answers", wrong)
	}
	if did == 0 {
		return fmt.Errorf("nothing was done")
	}
	return nil
}
