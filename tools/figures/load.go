package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// A tree is a package and those of its module that it imports.
type tree struct {
	dir      string // of the package
	module   string
	fset     *token.FileSet
	root     *sourcePackage
	packages []*sourcePackage // the imported ones first, the root last
}

type sourcePackage struct {
	dir   string // relative to the tree's, "." for the root
	files []*ast.File
	types *types.Package
	info  *types.Info
}

// A listedPackage is what the go command says of a package.
type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Module                  *struct {
		Path string
		Main bool
	}
}

// load parses and type-checks. What it can't import is taken for an empty package: names of the
// tree's own packages are found all the same.
func load(dir string) (*tree, error) {
	list, err := listPackages(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{dir: dir, fset: token.NewFileSet()}
	find := &finder{exports: map[string]string{}, own: map[string]*types.Package{}}
	find.outside = importer.ForCompiler(t.fset, "gc", find.open)
	for _, p := range list {
		find.exports[p.ImportPath] = p.Export
		if p.Module == nil || !p.Module.Main || len(p.GoFiles) == 0 {
			continue
		}
		pkg, err := t.check(p, find)
		if err != nil {
			return nil, err
		}
		find.own[p.ImportPath] = pkg.types
		t.module, t.root = p.Module.Path, pkg
		t.packages = append(t.packages, pkg)
	}
	if t.root == nil {
		return nil, fmt.Errorf("there is no Go package in %s", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, pkg := range t.packages {
		rel, err := filepath.Rel(abs, pkg.dir)
		if err != nil {
			return nil, err
		}
		pkg.dir = filepath.ToSlash(rel)
	}
	return t, nil
}

// listPackages lists the package in dir and all that it imports, itself last.
func listPackages(dir string) ([]listedPackage, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,Module", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	var list []listedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listedPackage
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (t *tree) check(p listedPackage, find types.Importer) (*sourcePackage, error) {
	pkg := &sourcePackage{dir: p.Dir, info: &types.Info{
		Defs:  map[*ast.Ident]types.Object{},
		Uses:  map[*ast.Ident]types.Object{},
		Types: map[ast.Expr]types.TypeAndValue{},
	}}
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(t.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		pkg.files = append(pkg.files, f)
	}
	config := types.Config{Importer: find, Error: func(error) {}}
	pkg.types, _ = config.Check(p.ImportPath, t.fset, pkg.files, pkg.info)
	return pkg, nil
}

// A finder imports packages: those of the tree as they have been checked, others from the
// compiler's output.
type finder struct {
	exports map[string]string
	own     map[string]*types.Package
	outside types.Importer
}

func (f *finder) open(path string) (io.ReadCloser, error) {
	if f.exports[path] == "" {
		return nil, errors.New("not compiled")
	}
	return os.Open(f.exports[path])
}

func (f *finder) Import(target string) (*types.Package, error) {
	if pkg := f.own[target]; pkg != nil {
		return pkg, nil
	}
	pkg, err := f.outside.Import(target)
	if err != nil {
		pkg = types.NewPackage(target, path.Base(target))
		pkg.MarkComplete()
	}
	return pkg, nil
}

// fileOf names the file of a position, without its folder.
func (t *tree) fileOf(pos token.Pos) string { return filepath.Base(t.fset.Position(pos).Filename) }

// place is a file's name with the folder of its package.
func (t *tree) place(p *sourcePackage, pos token.Pos) string { return path.Join(p.dir, t.fileOf(pos)) }

func isGenerated(name string) bool { return strings.HasSuffix(name, ".pb.go") }
