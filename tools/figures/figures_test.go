package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
)

func fixture(t *testing.T) *tree {
	t.Helper()
	lib, err := load("testdata/lib")
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func check(t *testing.T, f figure, value string, details ...string) {
	t.Helper()
	if f.value != value {
		t.Errorf("%s: %q, want %q", f.name, f.value, value)
	}
	if details != nil && !slices.Equal(f.details, details) {
		t.Errorf("%s: got\n\t%s\nwant\n\t%s", f.name, strings.Join(f.details, "\n\t"), strings.Join(details, "\n\t"))
	}
}

// TestState: structs inside a type with a lock count, structs without one do not, however many
// booleans they have.
func TestState(t *testing.T) {
	lib := fixture(t)
	check(t, mostBooleans(lib), "7 (clientConn)",
		"role.early", "role.since", "own", "inner.x", "inner.y", "d", "late")
	check(t, mostUnderLock(lib), "8 (clientConn.mu)",
		"a", "b", "c", "inner.x", "inner.y", "late", "role.since", "role.who")
}

func TestConcern(t *testing.T) {
	lib := fixture(t)
	check(t, concern(lib, "by file", []string{"other.go"}), "2 (1 places outside of other.go, calls: 1)", "other.go 0", "server.go 1")
	check(t, concern(lib, "by folder", []string{"internal/"}), "3 (6 places outside of internal/, calls: 0)")
	check(t, concern(lib, "by name", []string{"since"}), "1 (1 places outside of since, calls: 0)", "conn.go 1")
}

func TestLayers(t *testing.T) {
	lib := fixture(t)
	check(t, upwardNames(lib, []string{"internal/wire", "."}), "1", "conn.go:46 Owner of internal/wire/wire.go")
	check(t, upwardNames(lib, []string{"none", "internal/wire"}), "0 (absent: none)")
	check(t, upwardNames(lib, []string{".", "internal/wire"}), "6") // upside down, each use is one
	check(t, upwardArrows(lib), "1 of 4", "other.go -> server.go: serverConn", "", "order: conn.go lib.pb.go other.go server.go")
}

// TestBestOrder: the fewest arrows against an order are known for circles that share no arrow.
func TestBestOrder(t *testing.T) {
	arrows := map[string]map[string]string{"z": {}}
	for _, circle := range []string{"abcd", "efg", "hi"} {
		for i := range circle {
			from, to := circle[i:i+1], string(circle[(i+1)%len(circle)])
			arrows[from] = map[string]string{to: "x", "z": "x"}
		}
	}
	order, against := bestOrder(arrows), 0
	for i, from := range order {
		for _, to := range order[i+1:] {
			against += len(arrows[from][to])
		}
	}
	if against != 3 || len(order) != 10 {
		t.Errorf("%d arrows go against %q, want 3", against, order)
	}
}

// TestTwins: a body of one shape counts, one that is short or another does not.
func TestTwins(t *testing.T) {
	f := twins(fixture(t), []string{"client", "server"}, 0.7)
	check(t, f, "1 (of 3 names on both)")
	if len(f.details) != 3 || !strings.HasPrefix(f.details[1], "= 0.84 clientConn.handle") {
		t.Errorf("details %q", f.details)
	}
	if f := twins(fixture(t), []string{"clientConn", "nobody"}, 0.7); f.value != "0 (of 0 names on both)" {
		t.Errorf("without a second side: %q", f.value)
	}
}

func TestFunctions(t *testing.T) {
	want := []string{"10 lines (clientConn.handle, conn.go:39)", "1 lines of 7 functions", "5 (clientConn.handle, conn.go:39)"}
	for i, f := range functionFigures(fixture(t)) {
		check(t, f, want[i])
	}
}

// TestLines: files of other systems count, generated ones do not.
func TestLines(t *testing.T) {
	figures, err := rootLines(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"87 lines in 4 files", "1 lines", "8 lines in 1 files", "52 lines (conn.go)", "6 %"}
	for i, f := range figures {
		check(t, f, want[i])
	}
}

func TestRun(t *testing.T) {
	o, err := parseFlags([]string{"-v", "testdata/lib"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fields under one lock", "8 (clientConn.mu)\n", "\tinner.x\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if err := run(options{dir: "testdata"}, io.Discard); err == nil {
		t.Error("no error for a folder without Go")
	}
}

func TestFlags(t *testing.T) {
	if _, err := parseFlags([]string{"a", "b"}, io.Discard); err == nil {
		t.Error("no error for two folders")
	}
	if _, err := parseFlags([]string{"-none"}, io.Discard); err == nil {
		t.Error("no error for an unknown flag")
	}
	var out bytes.Buffer
	if _, err := parseFlags([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(out.String(), "usage:") {
		t.Errorf("-h: %v, %q", err, &out)
	}
}
