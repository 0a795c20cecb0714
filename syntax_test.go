//go:build go1.25

package ttrpc_test

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A sourcePackage is one package of a module, parsed and with types. Test files are not in it, nor
// are files of other systems than linux/amd64.
type sourcePackage struct {
	dir   string // relative to the module's folder, "." for the root
	fset  *token.FileSet
	files []*ast.File
	types *types.Package
	info  *types.Info
}

// loadModule type-checks all packages of the module in dir. The order is the imports': a package
// comes after what it imports.
func loadModule(t *testing.T, dir string) []*sourcePackage {
	t.Helper()
	fset := token.NewFileSet()
	exports := map[string]string{}
	checked := map[string]*types.Package{}
	outside := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	find := importerFunc(func(path string) (*types.Package, error) {
		if pkg := checked[path]; pkg != nil {
			return pkg, nil
		}
		return outside.Import(path)
	})
	var packages []*sourcePackage
	for _, p := range listPackages(t, dir) {
		exports[p.ImportPath] = p.Export
		if p.Module == nil || !p.Module.Main {
			continue
		}
		pkg := p.load(t, fset, find)
		checked[p.ImportPath] = pkg.types
		packages = append(packages, pkg)
	}
	if len(packages) == 0 {
		t.Fatalf("there is no package in %s", dir)
	}
	return packages
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

// A listedPackage is what the go command says of a package.
type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct {
		Path, Dir string
		Main      bool
	}
}

// listPackages lists the packages of the module in dir and all they import, the imported ones
// first.
func listPackages(t *testing.T, dir string) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-export",
		"-json=ImportPath,Dir,Export,GoFiles,Module", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var list []listedPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listedPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func (p listedPackage) load(t *testing.T, fset *token.FileSet, find types.Importer) *sourcePackage {
	t.Helper()
	rel, err := filepath.Rel(p.Module.Dir, p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	pkg := &sourcePackage{dir: filepath.ToSlash(rel), fset: fset, info: &types.Info{
		Uses:  map[*ast.Ident]types.Object{},
		Types: map[ast.Expr]types.TypeAndValue{},
	}}
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		pkg.files = append(pkg.files, f)
	}
	config := types.Config{Importer: find}
	if pkg.types, err = config.Check(p.ImportPath, fset, pkg.files, pkg.info); err != nil {
		t.Fatal(err)
	}
	return pkg
}

// at says where something is: file and line, for a message.
func (p *sourcePackage) at(pos token.Pos) string {
	where := p.fset.Position(pos)
	return path.Join(p.dir, filepath.Base(where.Filename)) + ":" + strconv.Itoa(where.Line)
}

// fileOf names the file of a position.
func (p *sourcePackage) fileOf(pos token.Pos) string {
	return filepath.Base(p.fset.Position(pos).Filename)
}

// moduleImports reads which packages of a module import which others of it, by their folders. It
// needs no more than the import lines, so that it can tell of code that does not compile. Test
// files count when tests is true. All systems' files count.
func moduleImports(t *testing.T, dir, module string, tests bool) map[string][]string {
	t.Helper()
	imports := map[string]map[string]bool{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && isForeign(name):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || !tests && strings.HasSuffix(name, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(dir, filepath.Dir(name))
		if err != nil {
			return err
		}
		from := filepath.ToSlash(rel)
		if imports[from] == nil {
			imports[from] = map[string]bool{}
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			if to, ok := folderOf(spec, module); ok {
				imports[from][to] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sorted := map[string][]string{}
	for from, to := range imports {
		sorted[from] = slices.Sorted(maps.Keys(to))
	}
	return sorted
}

// isForeign reports whether a folder is no part of the module around it.
func isForeign(dir string) bool {
	base := filepath.Base(dir)
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil || base == "testdata" || strings.HasPrefix(base, ".")
}

// folderOf returns the folder of an imported package of the module.
func folderOf(spec *ast.ImportSpec, module string) (string, bool) {
	target, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "", false
	}
	if target == module {
		return ".", true
	}
	return strings.CutPrefix(target, module+"/")
}

// circles returns the groups of nodes that reach each other, sorted.
func circles(graph map[string][]string) [][]string {
	reach := map[string]map[string]bool{}
	for node := range graph {
		reach[node] = reachable(graph, node)
	}
	var groups [][]string
	seen := map[string]bool{}
	for _, node := range slices.Sorted(maps.Keys(graph)) {
		if seen[node] || !reach[node][node] {
			continue
		}
		var group []string
		for _, other := range slices.Sorted(maps.Keys(graph)) {
			if reach[node][other] && reach[other][node] {
				seen[other] = true
				group = append(group, other)
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// reachable returns what can be reached from a node by at least one step.
func reachable(graph map[string][]string, from string) map[string]bool {
	seen := map[string]bool{}
	next := slices.Clone(graph[from])
	for len(next) > 0 {
		node := next[len(next)-1]
		next = next[:len(next)-1]
		if !seen[node] {
			seen[node] = true
			next = append(next, graph[node]...)
		}
	}
	return seen
}
