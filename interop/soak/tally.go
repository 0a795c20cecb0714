package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// tally counts what was done and what came of it.
type tally struct {
	mu     sync.Mutex // guards the rest
	did    map[string]int64
	took   map[string]time.Duration // the longest of each
	errors map[string]int64
	wrong  int64
	shown  map[string]int64 // the wrong answers by their text, some of them
}

func (t *tally) done(name string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.did == nil {
		t.did = make(map[string]int64)
		t.took = make(map[string]time.Duration)
	}
	t.did[name]++
	t.took[name] = max(t.took[name], took)
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
	if t.shown == nil {
		t.shown = make(map[string]int64)
	}
	if text := fmt.Sprintf(format, args...); len(t.shown) < 50 || t.shown[text] > 0 {
		t.shown[text]++
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
	fmt.Fprintln(w)
	fmt.Fprintln(w, "done, and the longest of each:")
	for _, name := range slices.Sorted(maps.Keys(t.did)) {
		fmt.Fprintf(w, "  %9d %-32s %8.3fs\n", t.did[name], name, t.took[name].Seconds())
	}
	printCounts(w, "errors by kind, all of them wanted", t.errors)
	printCounts(w, fmt.Sprintf("wrong answers: %d", t.wrong), t.shown)
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
