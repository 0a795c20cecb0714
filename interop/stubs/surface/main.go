// Command surface prints what generated service code exports: the functions and interface types of
// the packages in the current module that it is given, with types in full and without the names of
// parameters, sorted, one a line.
//
//	surface ./gen/go/unary ./gen/gogo/unary ...
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "surface:", err)
		os.Exit(1)
	}
}

func run(patterns []string) error {
	exports, wanted, err := list(patterns)
	if err != nil {
		return err
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	imports := importer.ForCompiler(token.NewFileSet(), "gc", lookup)
	for _, path := range wanted {
		pkg, err := imports.Import(path)
		if err != nil {
			return err
		}
		for _, line := range surface(pkg) {
			fmt.Println(path, line)
		}
	}
	return nil
}

// list compiles packages and returns the export data of all they need, and their import paths.
func list(patterns []string) (exports map[string]string, wanted []string, err error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-export", "-json=ImportPath,Export,DepOnly"}, patterns...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, err
	}
	exports = map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Export string
			DepOnly            bool
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return exports, wanted, nil
		} else if err != nil {
			return nil, nil, err
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			wanted = append(wanted, p.ImportPath)
		}
	}
}

// surface lists exported functions, and every interface with its methods: a caller can hold one
// whose name is not exported.
func surface(pkg *types.Package) []string {
	var lines []string
	for _, name := range pkg.Scope().Names() {
		obj := pkg.Scope().Lookup(name)
		switch t := obj.Type().Underlying().(type) {
		case *types.Signature:
			if obj.Exported() {
				lines = append(lines, "func "+name+signature(pkg, t))
			}
		case *types.Interface:
			if strings.HasSuffix(name, "Service") || strings.HasSuffix(name, "Client") || strings.HasSuffix(name, "Server") {
				lines = append(lines, methods(pkg, name, t)...)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func methods(pkg *types.Package, name string, t *types.Interface) []string {
	lines := []string{"interface " + name}
	for m := range t.Methods() {
		lines = append(lines, fmt.Sprintf("method %s.%s%s", name, m.Name(), signature(pkg, m.Signature())))
	}
	return lines
}

// signature writes a function's type without the names of its parameters, which callers don't see.
func signature(pkg *types.Package, s *types.Signature) string {
	list := func(tuple *types.Tuple) string {
		var parts []string
		for v := range tuple.Variables() {
			text := types.TypeString(v.Type(), types.RelativeTo(pkg))
			parts = append(parts, strings.ReplaceAll(text, "interface{}", "any"))
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	return list(s.Params()) + " " + list(s.Results())
}
