package main

import (
	"regexp"
	"strconv"
	"strings"
)

// A symbol is a function or a datum of a program. One without bytes in the file, such as a variable
// that begins as zero, is none here.
type symbol struct {
	size int
	code bool
	name string
}

// numbered matches what the compiler numbers anew in each build.
var numbered = regexp.MustCompile(`\.\.?(stmp_|typeAssert\.|interfaceSwitch\.|gobytes\.)\d+`)

// parseSymbols reads what go tool nm -size prints: lines of address, size, kind and name. Symbols
// of one name are added.
func parseSymbols(text string) map[string]symbol {
	all := make(map[string]symbol)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || strings.ContainsAny(fields[2], "UuBbC") {
			continue
		}
		size, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		name := numbered.ReplaceAllString(strings.Join(fields[3:], " "), "..$1")
		all[name] = symbol{all[name].size + size, strings.EqualFold(fields[2], "t"), name}
	}
	return all
}

// packageOf returns the path of the package that a symbol is of. What the compiler makes for a
// package's types has its kind in front: go:itab.*path.Type, type:.eq.path.Type.
func packageOf(name string) string {
	if kind, rest, ok := strings.Cut(name, ":"); ok && !strings.ContainsAny(kind, "/.") {
		for _, made := range []string{".eq.", ".hash.", "itab."} {
			rest = strings.TrimPrefix(rest, made)
		}
		name = strings.TrimLeft(rest, "*")
	}
	if i := strings.IndexAny(name, "[({, "); i >= 0 {
		name = name[:i]
	}
	last := strings.LastIndexByte(name, '/') + 1
	if i := strings.IndexByte(name[last:], '.'); i >= 0 {
		return name[:last+i]
	}
	return name
}

// isOwn reports whether a symbol is of the library: of its packages, or made for their types, as
// a generic function of another package is. The nested modules that use the library are not it.
func isOwn(name string) bool {
	for rest := name; ; {
		i := strings.Index(rest, library)
		if i < 0 {
			return false
		}
		rest = rest[i+len(library):]
		if strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/internal/") {
			return true
		}
	}
}
