//go:build go1.25

package ttrpc_test

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"
)

// maxUpward is how many lines testdata/layers.txt may have. It may go down, and has to with the
// list.
const maxUpward = 2

// TestLayersFiles holds that the root package's files have an order in which each uses those before
// it alone, and prints it with -v. What goes against the order stands in testdata/layers.txt, one
// use of a line:
//
//	user.go -> used.go: why
//
// `go run ./tools/figures -v` prints the fewest lines that would do. The list can only shrink.
func TestLayersFiles(t *testing.T) {
	uses := fileUses(rootPackage(loadModule(t, ".")))
	listed := readLines(t, "testdata/layers.txt")
	for _, fault := range checkFiles(uses, listed, maxUpward) {
		t.Error(fault)
	}
	level := fileLevels(without(uses, listed))
	for i, files := range level {
		for _, file := range files {
			t.Logf("%d %-20s uses %s", i, file, strings.Join(slices.Sorted(maps.Keys(uses[file])), " "))
		}
	}
}

// TestLayersFilesFixture shows that the test above can fail, in each way.
func TestLayersFilesFixture(t *testing.T) {
	uses := fileUses(rootPackage(loadModule(t, "testdata/layers/files")))
	for _, c := range []struct {
		name   string
		listed []string
		max    int
		want   []string
	}{
		{"not listed", nil, 0, []string{
			"files use each other in a circle: b.go -> a.go (thing), a.go -> b.go (declared), " +
				"the shortest of 2 files",
			"files use each other in a circle: e.go -> d.go (holder), d.go -> e.go (again), " +
				"the shortest of 3 files",
		}},
		{"listed", []string{"a.go -> b.go: because", "d.go -> e.go: because"}, 2, nil},
		{"too long, and too short", []string{"a.go -> b.go: because", "d.go -> e.go: because"}, 1, []string{
			"2 lines in the list, maxUpward is 1: it follows the list down, not up",
		}},
		{"stale", []string{"a.go -> b.go: because", "d.go -> e.go: because", "e.go -> b.go: because",
			"c.go -> a.go: because", "e.go -> c.go"}, 5, []string{
			"e.go does not use b.go any more: take the line out",
			"c.go may use a.go, no circle goes through it: take the line out",
			`"e.go -> c.go" is not of the form: user.go -> used.go: why`,
		}},
	} {
		equalLines(t, c.name, checkFiles(uses, c.listed, c.max), c.want)
	}
}

// A fileGraph has for each file the files that it uses, each with one of the names.
type fileGraph map[string]map[string]string

func rootPackage(packages []*sourcePackage) *sourcePackage {
	return packages[slices.IndexFunc(packages, func(p *sourcePackage) bool { return p.dir == "." })]
}

// fileUses finds which files use names, methods and fields that others declare.
func fileUses(p *sourcePackage) fileGraph {
	uses := fileGraph{}
	for _, f := range p.files {
		uses[p.fileOf(f.Pos())] = map[string]string{}
	}
	for id, obj := range p.info.Uses {
		if obj.Pkg() != p.types {
			continue
		}
		if _, isPackage := obj.(*types.PkgName); isPackage {
			continue
		}
		from, to := p.fileOf(id.Pos()), p.fileOf(obj.Pos())
		if name := uses[from][to]; from != to && (name == "" || obj.Name() < name) {
			uses[from][to] = obj.Name()
		}
	}
	return uses
}

func (g fileGraph) targets() map[string][]string {
	plain := map[string][]string{}
	for from, to := range g {
		plain[from] = slices.Sorted(maps.Keys(to))
	}
	return plain
}

// parseArrow reads a line of the list; ok is false when it has no reason or another form.
func parseArrow(line string) (from, to string, ok bool) {
	arrow, why, _ := strings.Cut(line, ": ")
	from, to, ok = strings.Cut(arrow, " -> ")
	return from, to, ok && strings.TrimSpace(why) != ""
}

// without returns the graph without the listed arrows.
func without(uses fileGraph, listed []string) fileGraph {
	rest := fileGraph{}
	for from, to := range uses {
		rest[from] = maps.Clone(to)
	}
	for _, line := range listed {
		from, to, _ := parseArrow(line)
		delete(rest[from], to)
	}
	return rest
}

// checkFiles compares the uses of files with the list of those that go against the order.
func checkFiles(uses fileGraph, listed []string, most int) (faults []string) {
	listed = slices.DeleteFunc(slices.Clone(listed), func(line string) bool { return line == "" })
	rest := without(uses, listed)
	for _, group := range circles(rest.targets()) {
		faults = append(faults, "files use each other in a circle: "+describeCircle(rest, group))
	}
	for _, line := range listed {
		from, to, ok := parseArrow(line)
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("%q is not of the form: user.go -> used.go: why", line))
		case uses[from][to] == "":
			faults = append(faults, fmt.Sprintf("%s does not use %s any more: take the line out", from, to))
		case !reachable(rest.targets(), to)[from]:
			faults = append(faults, fmt.Sprintf("%s may use %s, no circle goes through it: take the line out", from, to))
		}
	}
	if len(listed) != most {
		faults = append(faults, fmt.Sprintf("%d lines in the list, maxUpward is %d: it follows the list down, not up", len(listed), most))
	}
	return faults
}

// describeCircle names the shortest circle in a group of files that reach each other.
func describeCircle(uses fileGraph, group []string) string {
	var shortest []string
	for _, from := range group {
		for _, to := range slices.Sorted(maps.Keys(uses[from])) {
			way := wayTo(uses.targets(), to, from)
			if way != nil && (shortest == nil || len(way) < len(shortest)) {
				shortest = way
			}
		}
	}
	var arrows []string
	for i, from := range shortest {
		to := shortest[(i+1)%len(shortest)]
		arrows = append(arrows, fmt.Sprintf("%s -> %s (%s)", from, to, uses[from][to]))
	}
	return fmt.Sprintf("%s, the shortest of %d files", strings.Join(arrows, ", "), len(group))
}

// fileLevels orders files without circles: level 0 uses no other file, each further one those below
// it. Files in a circle, which the test reports, are in no level.
func fileLevels(uses fileGraph) (levels [][]string) {
	left := uses.targets()
	for len(left) > 0 {
		var level []string
		for _, file := range slices.Sorted(maps.Keys(left)) {
			if !slices.ContainsFunc(left[file], func(used string) bool {
				_, waits := left[used]
				return waits
			}) {
				level = append(level, file)
			}
		}
		if level == nil {
			break
		}
		for _, file := range level {
			delete(left, file)
		}
		levels = append(levels, level)
	}
	return levels
}
