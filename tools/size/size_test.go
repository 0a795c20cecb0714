package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const listing = `
  4a1b20       1000 T github.com/containerd/ttrpc.(*Client).Call
  4a1c20         20 t github.com/containerd/ttrpc/internal/wire.Parse
  4a1c40          3 R go:itab.*github.com/containerd/ttrpc.err,error
  4a1c50          4 T type:.eq.github.com/containerd/ttrpc.pair
  4a1d20         50 T slices.Insert[go.shape.[]github.com/containerd/ttrpc.pair]
  4a1d60          6 R github.com/containerd/ttrpc..stmp_7
  4a1d66          7 R github.com/containerd/ttrpc..stmp_8
  4a1d70        500 B github.com/containerd/ttrpc.pools
  4a1d80       5000 T github.com/containerd/ttrpctest.Other
  4a1e20       6000 T github.com/containerd/ttrpc/example.Nested
                    U malloc
  4a1f20       7000 T runtime.main
`

func TestOwnSymbols(t *testing.T) {
	f := figures{symbols: parseSymbols(listing)}
	functions, code, data := f.own()
	if functions != 4 || code != 1074 || data != 16 {
		t.Errorf("%d functions, %d bytes of code, %d of data; want 4, 1074, 16", functions, code, data)
	}
}

func TestPackages(t *testing.T) {
	for name, want := range map[string]string{
		"runtime.main": "runtime",
		"github.com/containerd/ttrpc.(*Client).Call":       "github.com/containerd/ttrpc",
		"go:itab.*github.com/containerd/ttrpc.err,error":   "github.com/containerd/ttrpc",
		"type:.eq.github.com/containerd/ttrpc.pair":        "github.com/containerd/ttrpc",
		"slices.Insert[go.shape.[]example.com/lib.pair]":   "slices",
		"gopkg.in/yaml%2ev3.Marshal":                       "gopkg.in/yaml%2ev3",
		"example.com/lib/internal/wire.(*Queue).Pop.func1": "example.com/lib/internal/wire",
	} {
		if got := packageOf(name); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
}

// What one program links and the other does not is listed, but the library's symbols wholly.
func TestReport(t *testing.T) {
	ours := &figures{name: "ours", stripped: 30, packages: 4, symbols: parseSymbols(listing)}
	theirs := &figures{name: "theirs", stripped: 10, packages: 5}
	theirs.symbols = parseSymbols(strings.ReplaceAll(listing, "runtime.main", "other.main"))
	var out bytes.Buffer
	report(&out, "a program", ours, theirs, 3)
	for _, want := range []string{
		"stripped, bytes    30      10         +20", "packages linked     4       5          -1",
		"only ours links: 7000 bytes in 1\n    7000  runtime.main\n",
		"only the original links: 7000 bytes in 1\n    7000  other.main\n",
		"biggest symbols: 1090 bytes in 6\n    1000  github.com/containerd/ttrpc.(*Client).Call\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

// A program is built, and a function in it has a size.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/m\n", "main.go": "package main\n\nfunc main() { println(1) }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := program{name: "m", dir: dir, pkg: ".", env: []string{"GOWORK=off", "GOOS=linux", "GOFLAGS="}}
	f, err := measure(p, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if f.symbols["main.main"].size == 0 || f.stripped == 0 || f.packages == 0 || f.sections[".text"] == 0 {
		t.Errorf("got %d symbols, %d bytes, %d packages, sections %v", len(f.symbols), f.stripped, f.packages, f.sections)
	}
	p.pkg = "./none"
	if _, err := measure(p, t.TempDir()); err == nil {
		t.Error("no error for a program that can't be built")
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"a"}, {"-none"}} {
		if _, err := parseFlags(args, io.Discard); err == nil {
			t.Errorf("no error for %q", args)
		}
	}
}
