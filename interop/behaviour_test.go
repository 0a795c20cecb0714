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
		t.Run(r.Name, func(t *testing.T) {
			theirs, ours := seen[r.Name], seen["ours"]
			for _, name := range unlisted(theirs, ours, allowed, used) {
				second, err := probe(t.Context(), bins[r.Name], "-run", probeOf(name)+"/")
				if err != nil {
					t.Fatal(err)
				}
				if a, b := second.values[name], ours.values[name]; !allowed[name].covers(a, b) {
					t.Errorf("not listed, or otherwise:\n%s", format(name, a, b))
				}
			}
		})
	}
	for key, d := range allowed {
		if !used[key] && !d.comesAndGoes() {
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

// probe runs a peer's probes, all or those that args say. Lines are "PROBE: WHAT = VALUE", or
// "PROBE: WHAT" for a hang.
func probe(ctx context.Context, bin string, args ...string) (*observations, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, append([]string{"behaviour"}, args...)...).Output()
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

// comesAndGoes says that an original races with itself, and that ours does what it does at some
// times.
func (d difference) comesAndGoes() bool { return slices.Contains(d.theirs, d.ours) }

// covers reports whether a and b are the same or differ as they may.
func (d difference) covers(a, b string) bool {
	return a == b || d.ours == b && slices.Contains(d.theirs, a)
}

// unlisted names every difference that is not allowed as it is, and notes those that are used. It
// is no verdict yet: an original that races with itself, or crashes once in a thousand runs, is
// looked at again. Ours is not.
func unlisted(theirs, ours *observations, allowed map[string]difference, used map[string]bool) []string {
	var names []string
	for _, name := range union(theirs.names, ours.names) {
		a, b := theirs.values[name], ours.values[name]
		used[name] = used[name] || a != b
		if !allowed[name].covers(a, b) {
			names = append(names, name)
		}
	}
	return names
}

// probeOf is the probe that printed a line: "PROBE: WHAT" or, of one with parts, "PROBE/PART:
// WHAT".
func probeOf(name string) string {
	probe, _, _ := strings.Cut(name, ": ")
	if parts := strings.Split(probe, "/"); len(parts) > 2 {
		return strings.Join(parts[:2], "/")
	}
	return probe
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

// readDifferences reads the list: "# reason" lines, then "@ name", "- theirs" once or more, "+
// ours".
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
