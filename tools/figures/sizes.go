package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// A symbol is one line of go tool nm.
type symbol struct {
	size int
	kind string // T for code, R for constants, D and B for variables
	name string
}

// symbolSizes adds the sizes of a program's symbols of the package with a path, and of those in its
// internal folder.
func symbolSizes(program, prefix string) ([]figure, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("go", "tool", "nm", "-size", program)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool nm: %w\n%s", err, &stderr)
	}
	list := parseSymbols(string(out), prefix)
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no symbols of %s: is it stripped?", program, prefix)
	}
	slices.SortFunc(list, func(a, b symbol) int { return b.size - a.size })
	code, data := 0, 0
	f := figure{name: "symbols of " + prefix}
	for i, s := range list {
		if strings.EqualFold(s.kind, "t") {
			code += s.size
		} else {
			data += s.size
		}
		if i < 20 {
			f.details = append(f.details, fmt.Sprintf("%6d %s %s", s.size, s.kind, s.name))
		}
	}
	f.value = fmt.Sprintf("%.1f KB in %d symbols (code %.1f, data %.1f)", kb(code+data), len(list), kb(code), kb(data))
	return []figure{f}, nil
}

func kb(bytes int) float64 { return float64(bytes) / 1000 }

// parseSymbols reads the lines "address size kind name" of the symbols that belong to a path.
func parseSymbols(text, prefix string) (list []symbol) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[1] == "U" { // an undefined one has neither address nor size
			continue
		}
		size, err := strconv.Atoi(fields[1])
		name := strings.Join(fields[3:], " ")
		if err != nil || !belongs(name, prefix) {
			continue
		}
		list = append(list, symbol{size, fields[2], name})
	}
	return list
}

// belongs reports whether a symbol is of a package or one in its internal folder. The compiler
// writes what it makes for a package's types with the kind in front: go:itab.*path.Type,
// type:.eq.path.Type.
func belongs(name, path string) bool {
	if kind, rest, ok := strings.Cut(name, ":"); ok && !strings.Contains(kind, "/") {
		name = rest
		for _, made := range []string{".eq.", ".hash.", "itab."} {
			name = strings.TrimPrefix(name, made)
		}
		name = strings.TrimLeft(name, "*")
	}
	rest, ok := strings.CutPrefix(name, path)
	return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/internal/"))
}
