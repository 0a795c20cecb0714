package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc/bench/driver"
)

// TestMeasuresEveryRow runs all jobs that need no module from outside on tiny lengths, and looks
// whether each peer has the figures that it can have.
func TestMeasuresEveryRow(t *testing.T) {
	b := newTestBench(t, "ours,netrpc,raw,raw-spin")
	b.jobs = slices.DeleteFunc(b.jobs, func(j job) bool { return j.onRequest || strings.Contains(j.name, "-v1.") })
	if err := b.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	contexts := "p50-deadline p50-metadata allocs-deadline allocs-metadata cancel price stuck paused "
	lacks := map[string]string{
		ours:       "",
		"netrpc":   contexts + "pingpong stream100 stream64k open open-server",
		"raw":      contexts + "blocked behind",
		"raw-spin": contexts + "blocked behind hello",
	}
	for _, j := range b.jobs {
		for _, p := range b.peers {
			absent := slices.Contains(strings.Fields(lacks[p.name]), j.name) || j.pairing == gogo && p.name != ours
			for _, r := range j.rows {
				checkValues(t, b.values[cell{j.name, r.key, p.name}], absent, r.label+" of "+p.name)
			}
		}
	}
}

func checkValues(t *testing.T, values []float64, absent bool, what string) {
	t.Helper()
	switch {
	case absent && len(values) > 0:
		t.Errorf("%s: %v, want none", what, values)
	case !absent && len(values) != 1:
		t.Errorf("%s: %v, want one value", what, values)
	case !absent && (math.IsNaN(values[0]) || math.IsInf(values[0], 0)):
		t.Errorf("%s is %v", what, values[0])
	}
}

func newTestBench(t *testing.T, names string) *bench {
	peers, err := choose(allPeers, names, func(p peer) string { return p.name })
	if err != nil {
		t.Fatal(err)
	}
	return &bench{
		dir: t.TempDir(), jobs: slices.Clone(allJobs), peers: peers, rounds: 1, progress: &progress{out: io.Discard},
		length: driver.Job{Warm: time.Millisecond, Measure: 10 * time.Millisecond, Calls: 100, Conns: 20},
	}
}

func TestAFailingPeerIsReported(t *testing.T) {
	b := newTestBench(t, "raw")
	b.jobs = b.jobs[:1]
	b.values = map[cell][]float64{}
	script := "#!/bin/sh\necho cannot start >&2\nexit 1\n"
	if err := os.WriteFile(b.peers[0].main.file(b.dir), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := b.measure(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot start") {
		t.Errorf("measure returned %v, want what the program said", err)
	}
}

// known is a bench with values as if measured.
func known(t *testing.T) *bench {
	b := newTestBench(t, "ours,v1.2.8,again")
	b.jobs = []job{
		{name: "a", rows: []row{{"x", "first", "µs", atMost(0.5)}, {"y", "second", "calls/s", atLeast(4)}}},
		{name: "b", rows: []row{{"x", "third", "allocs", noMoreThan(3)}}},
	}
	b.rounds = 3
	b.values = map[cell][]float64{
		{"a", "x", "v1.2.8"}: {10, 20, 40}, {"a", "x", "ours"}: {4, 10, 20}, {"a", "x", "again"}: {11, 20, 38},
		{"a", "y", "v1.2.8"}: {100, 100, 100}, {"a", "y", "ours"}: {390, 500, 300},
		{"b", "x", "ours"}: {3.05, 3.01, 3.02},
	}
	return b
}

func TestLine(t *testing.T) {
	b := known(t)
	first := b.line(b.jobs[0], b.jobs[0].rows[0])
	f := first.Figures["ours"]
	if f.Median != 10 || f.Ratio != 0.5 || f.Spread != 0.8 || !*first.Met {
		t.Errorf("ours: %+v met %v, want median 10, ratio 0.5 (of each round's), spread 0.8, met", f, *first.Met)
	}
	if second := b.line(b.jobs[0], b.jobs[0].rows[1]); *second.Met || second.Figures["ours"].Ratio != 3.9 {
		t.Errorf("3.9 times met a reach of 4: %+v", second)
	}
	if third := b.line(b.jobs[1], b.jobs[1].rows[0]); !*third.Met {
		t.Errorf("3.02 allocations missed a reach of 3: %+v", third)
	}
}

func TestAFailedRoundGivesNoRatio(t *testing.T) {
	if f := newFigure([]float64{1, 2}, []float64{1, 2, 3}); f.Ratio != 0 {
		t.Errorf("a ratio of %v from rounds that do not match", f.Ratio)
	}
}

func TestTable(t *testing.T) {
	b := known(t)
	var out bytes.Buffer
	b.print(&out, []line{b.line(b.jobs[0], b.jobs[0].rows[0]), b.line(b.jobs[0], b.jobs[0].rows[1])}, time.Minute)
	lines := strings.Split(out.String(), "\n")
	want := []string{
		"| figure          | reach |      | ours            | v1.2.8     | again           |",
		"| --------------- | ----- | ---- | --------------- | --------- | --------------- |",
		"| first, µs       | ≤0.5× | ok   | 10.0 ×0.50 ±80% | 20.0 ±75%  | 20.0 ×1.00 ±68% |",
		"| second, calls/s | ≥4×   | MISS | 390 ×3.90 ±26%  | 100        | -               |",
	}
	for i, w := range want {
		if lines[i] != w && strings.Join(strings.Fields(lines[i]), " ") != strings.Join(strings.Fields(w), " ") {
			t.Errorf("line %d:\n%s\nwant\n%s", i, lines[i], w)
		}
	}
	if !strings.Contains(out.String(), "Within reach: 1, missed: 1.") {
		t.Errorf("no count in\n%s", out.String())
	}
}

func TestJSON(t *testing.T) {
	b := known(t)
	file := filepath.Join(b.dir, "out.json")
	if err := b.report(io.Discard, file, time.Minute); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine string
		Rounds  int
		Rows    []line
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Rounds != 3 || len(got.Rows) != 3 || !slices.Equal(got.Rows[0].Figures["ours"].Values, []float64{4, 10, 20}) {
		t.Errorf("%+v", got)
	}
}

func TestBudgetEndsTheRounds(t *testing.T) {
	start := time.Now()
	after := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	b := &bench{started: start, began: after(20), budget: 200 * time.Second}
	if b.outOfTime(1, after(80)) {
		t.Error("no time for a second minute, at 80 of 200 s")
	}
	if !b.outOfTime(2, after(142)) {
		t.Error("time for a third minute, at 142 of 200 s")
	}
	b.budget = 0
	if b.outOfTime(2, after(142)) {
		t.Error("out of time without a limit")
	}
}

func TestChoose(t *testing.T) {
	self := func(s string) string { return s }
	items := []string{"p50", "p50-deadline", "allocs"}
	for patterns, want := range map[string]string{"*": "p50 p50-deadline allocs", "p50": "p50", "allocs,p50*": "p50 p50-deadline allocs"} {
		if got, err := choose(items, patterns, self); err != nil || strings.Join(got, " ") != want {
			t.Errorf("choose %q: %v, %v, want %s", patterns, got, err, want)
		}
	}
	for _, patterns := range []string{"p51", "p50,other", "["} {
		if got, err := choose(items, patterns, self); err == nil {
			t.Errorf("choose %q: %v, want an error", patterns, got)
		}
	}
}

// TestAJobOnRequest holds that a job that takes long to prepare is no part of a plain run.
func TestAJobOnRequest(t *testing.T) {
	for only, want := range map[string]bool{"*": false, "s*": false, "shim": true, "p50,shim": true} {
		jobs, err := chooseJobs(only)
		if got := slices.ContainsFunc(jobs, func(j job) bool { return j.name == "shim" }); err != nil || got != want {
			t.Errorf("-only %s: the shim is run: %v, %v, want %v", only, got, err, want)
		}
	}
}

func TestShimsAreOfReleasesWithItsProtocol(t *testing.T) {
	const original = "github.com/containerd/ttrpc v1.2.8"
	for name, want := range map[string]string{"v1.2.8": original, "again": original, "v1.1.2": "", "grpc": ""} {
		if got, ok := ttrpcOf(find(name)); got != want || ok != (want != "") {
			t.Errorf("the shim of %s is built with %q, %v, want %q", name, got, ok, want)
		}
	}
	if root, ok := ttrpcOf(find(ours)); !ok || filepath.Dir(sourceDir()) != root {
		t.Errorf("the shim of ours is built with %q", root)
	}
}

func TestAFigureThatAPeerLacks(t *testing.T) {
	b := newTestBench(t, "raw")
	b.jobs = []job{{name: "a", rows: []row{{"x", "first", "µs", none}, {"y", "second", "µs", none}}}}
	b.values = map[cell][]float64{}
	b.keep(b.jobs[0], b.peers[0], driver.Values{"x": 1})
	if x, y := b.line(b.jobs[0], b.jobs[0].rows[0]), b.line(b.jobs[0], b.jobs[0].rows[1]); len(x.Figures) != 1 || len(y.Figures) != 0 {
		t.Errorf("%v and %v, want one figure and none", x.Figures, y.Figures)
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, j := range allJobs {
		if seen[j.name] || j.what == "" || len(j.rows) == 0 {
			t.Errorf("job %q is there twice, or lacks its description or rows", j.name)
		}
		seen[j.name] = true
	}
}
