package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

const differencesFile = "testdata/differences.txt"

// TestBehaviour runs the same probes of the public API on the originals and on ours. What
// they print must be the same, but for the differences that are listed with a reason.
func TestBehaviour(t *testing.T) {
	bins, err := peers()
	if err != nil {
		t.Fatal(err)
	}
	seen := probeAll(t, bins)
	allowed, err := readDifferences(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	for _, r := range peer.Releases {
		if r.Ours || !r.Streams {
			continue
		}
		t.Run(r.Name, func(t *testing.T) { compare(t, seen[r.Name], seen["ours"], allowed, used) })
	}
	for key := range allowed {
		if !used[key] {
			t.Errorf("%s lists a difference that there is not: %s", differencesFile, key)
		}
	}
}

// observations are what a peer printed: values by name, and the names in order.
type observations struct {
	names  []string
	values map[string]string
}

func (o *observations) add(name, value string) {
	key := name
	for n := 2; o.values[key] != ""; n++ {
		key = fmt.Sprintf("%s #%d", name, n)
	}
	o.names = append(o.names, key)
	o.values[key] = value
}

// probeAll runs the probes of all releases that have them, side by side: most of them wait.
func probeAll(t *testing.T, bins map[string]string) map[string]*observations {
	seen := make(map[string]*observations)
	var mu sync.Mutex // guards seen
	var all sync.WaitGroup
	for _, r := range peer.Releases {
		if !r.Streams {
			continue
		}
		all.Go(func() {
			o, err := probe(t.Context(), bins[r.Name])
			mu.Lock()
			defer mu.Unlock()
			if seen[r.Name] = o; err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return seen
}

// probe runs a peer's probes. Lines are "PROBE: WHAT = VALUE", or "PROBE: WHAT" for a hang.
func probe(ctx context.Context, bin string) (*observations, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, "behaviour").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bin, err)
	}
	seen := &observations{values: make(map[string]string)}
	for line := range strings.Lines(string(out)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if !ok {
			name, value = cutLastWord(name)
		}
		seen.add(name, value)
	}
	return seen, nil
}

// cutLastWord makes of "a RecvMsg hangs" the value "hangs" of "a RecvMsg".
func cutLastWord(line string) (name, value string) {
	if probe, rest, ok := strings.Cut(line, ": process ends"); ok {
		return probe + ": process", "ends" + rest
	}
	i := strings.LastIndexByte(line, ' ')
	return line[:i], line[i+1:]
}

// A difference is what the originals and ours print for one name. The originals may have
// several answers, where they race with themselves.
type difference struct {
	theirs []string
	ours   string
}

// compare reports every difference that is not allowed as it is.
func compare(t *testing.T, theirs, ours *observations, allowed map[string]difference, used map[string]bool) {
	for _, name := range union(theirs.names, ours.names) {
		a, b := theirs.values[name], ours.values[name]
		if a == b {
			continue
		}
		used[name] = true
		if d, ok := allowed[name]; !ok || d.ours != b || !slices.Contains(d.theirs, a) {
			t.Errorf("not listed, or otherwise:\n%s", format(name, a, b))
		}
	}
}

// union lists the names of both, once each, in the first's order.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, n := range b {
		if !slices.Contains(a, n) {
			all = append(all, n)
		}
	}
	return all
}

// nothing stands for a line that is not printed at all.
const nothing = "(nothing)"

func format(name, theirs, ours string) string {
	show := func(s string) string {
		if s == "" {
			return nothing
		}
		return s
	}
	return fmt.Sprintf("@ %s\n- %s\n+ %s\n", name, show(theirs), show(ours))
}

// readDifferences reads the list: "# reason" lines, then "@ name", "- theirs" once or more, "+ ours".
func readDifferences(file string) (map[string]difference, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := make(map[string]difference)
	var name string
	reason := false
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSuffix(rest, nothing)
		d := all[name]
		switch mark {
		case "":
			reason = false
		case "#":
			reason = true
		case "@":
			if name = rest; !reason {
				return nil, fmt.Errorf("%s:%d: no reason is given for %q", file, i+1, rest)
			}
			all[name] = difference{}
		case "-":
			all[name] = difference{append(d.theirs, rest), d.ours}
		case "+":
			all[name] = difference{d.theirs, rest}
		default:
			return nil, fmt.Errorf("%s:%d: cannot read %q", file, i+1, line)
		}
	}
	return all, nil
}
