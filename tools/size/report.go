package main

import (
	"cmp"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
)

// figures are what is measured of one program.
type figures struct {
	name     string
	stripped int64
	packages int
	sections map[string]uint64
	symbols  map[string]symbol
}

// measured are the sections that are printed: code, constants, the tables that the runtime has of
// functions, and variables.
var measured = []string{".text", ".rodata", ".gopclntab", ".data"}

// measure builds the program twice, stripped and with its symbols.
func measure(p program, dir string) (*figures, error) {
	f := &figures{name: p.name, sections: make(map[string]uint64)}
	file, err := p.build(dir, "-s -w")
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	f.stripped = info.Size()
	if err := f.readSections(file); err != nil {
		return nil, err
	}
	if f.packages, err = p.packages(); err != nil {
		return nil, err
	}
	if file, err = p.build(dir, "-w"); err != nil {
		return nil, err
	}
	text, err := golang(dir, nil, "tool", "nm", "-size", file)
	f.symbols = parseSymbols(text)
	return f, err
}

func (f *figures) readSections(file string) error {
	program, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }()
	for _, s := range program.Sections {
		f.sections[s.Name] += s.Size
	}
	return nil
}

// own counts the library's own symbols.
func (f *figures) own() (functions, code, data int) {
	for name, s := range f.symbols {
		switch {
		case !isOwn(name):
		case s.code:
			functions, code = functions+1, code+s.size
		default:
			data += s.size
		}
	}
	return functions, code, data
}

// report prints the two side by side, then what is biggest.
func report(out io.Writer, name string, ours, theirs *figures, top int) {
	fmt.Fprintf(out, "%s\n\n", name)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\t%s\t%s\tdifference\t\n", ours.name, theirs.name)
	row := func(name string, a, b int) { fmt.Fprintf(table, "%s\t%d\t%d\t%+d\t\n", name, a, b, a-b) }
	row("stripped, bytes", int(ours.stripped), int(theirs.stripped))
	for _, s := range measured {
		row(s, int(ours.sections[s]), int(theirs.sections[s]))
	}
	functions, code, data := ours.own()
	functionsTheirs, codeTheirs, dataTheirs := theirs.own()
	row("the library's symbols, bytes", code+data, codeTheirs+dataTheirs)
	row("its functions", functions, functionsTheirs)
	row("packages linked", ours.packages, theirs.packages)
	_ = table.Flush()
	list(out, "the library's biggest symbols", ours.only(theirs, isOwn), top)
	others := func(name string) bool { return !isOwn(name) }
	list(out, "others' symbols that only ours links", ours.only(theirs, others), top)
	list(out, "others' symbols that only the original links", theirs.only(ours, others), top)
	list(out, "the library's symbols by package", byPackage(ours.only(theirs, isOwn)), top)
	fmt.Fprintln(out)
}

// only returns the symbols of a kind that f has, and of others' packages those that g has not.
func (f *figures) only(g *figures, kind func(string) bool) (all []symbol) {
	for name, s := range f.symbols {
		if _, both := g.symbols[name]; kind(name) && (isOwn(name) || !both) {
			all = append(all, s)
		}
	}
	return all
}

func byPackage(all []symbol) []symbol {
	sums := make(map[string]symbol)
	for _, s := range all {
		pkg := packageOf(s.name)
		sums[pkg] = symbol{size: sums[pkg].size + s.size, name: pkg}
	}
	return slices.Collect(maps.Values(sums))
}

// list prints the biggest of the symbols, and the sum of all.
func list(out io.Writer, title string, all []symbol, top int) {
	slices.SortFunc(all, func(a, b symbol) int { return cmp.Or(b.size-a.size, cmp.Compare(a.name, b.name)) })
	sum := 0
	for _, s := range all {
		sum += s.size
	}
	fmt.Fprintf(out, "\n%s: %d bytes in %d\n", title, sum, len(all))
	for _, s := range all[:min(top, len(all))] {
		fmt.Fprintf(out, "%8d  %s\n", s.size, s.name)
	}
}
