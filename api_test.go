//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
)

var update = flag.Bool("update", false, "rewrite golden files with what the tests see")

// TestAPI compares this package's exported API with the lists in testdata/api, one for each release
// that users switch from: all of it must be here with the same types. What is here and in no list
// must be in new.txt, so that every addition is seen in review; -update rewrites that file.
func TestAPI(t *testing.T) {
	ours := exportedAPI(t, ".")
	have := map[string]bool{}
	for _, line := range ours {
		have[withoutNames(t, line)] = true
	}
	known := map[string]bool{}
	lists, err := filepath.Glob("testdata/api/v*.txt")
	if err != nil || len(lists) != 4 {
		t.Fatalf("want four lists, found %q, %v", lists, err)
	}
	for _, list := range lists {
		for _, line := range readLines(t, list) {
			key := withoutNames(t, line)
			known[key] = true
			if !have[key] {
				t.Errorf("missing: %s (%s)", line, filepath.Base(list))
			}
		}
	}
	checkNewAPI(t, slices.DeleteFunc(ours, func(line string) bool { return known[withoutNames(t, line)] }))
}

// TestAPIListsDiffer shows that TestAPI can fail:
// the comparison sees a changed type and a lost name.
func TestAPIListsDiffer(t *testing.T) {
	same := [][2]string{
		{"method (T) F(ctx context.Context, n int) error", "method (T) F(_ context.Context, m int) error"},
		{"func F(a, b int, c ...string) (n int, err error)", "func F(x int, y int, z ...string) (int, error)"},
		{"type T interface{F(a interface{})}", "type T interface{F(b any)}"},
	}
	for _, p := range same {
		if a, b := withoutNames(t, p[0]), withoutNames(t, p[1]); a != b {
			t.Errorf("%q and %q should be the same", a, b)
		}
	}
	differ := [][2]string{
		{"method (T) F(n int) error", "method (*T) F(n int) error"},
		{"func F(n int32)", "func F(n int64)"},
		{"func F(s ...string)", "func F(s []string)"},
		{"field (T) A a.example/x.S", "field (T) A b.example/x.S"},
		{"var A error", "func A() error"},
	}
	for _, p := range differ {
		if a, b := withoutNames(t, p[0]), withoutNames(t, p[1]); a == b {
			t.Errorf("%q and %q should differ", p[0], p[1])
		}
	}
}

// What types alone do not show: both names of the file's descriptor are set, and are one, and the
// messages have their names.
func TestDescriptorsAreUnderBothNames(t *testing.T) {
	if ttrpc.File_request_proto == nil || ttrpc.File_request_proto != ttrpc.File_github_com_containerd_ttrpc_request_proto {
		t.Errorf("%v, %v", ttrpc.File_request_proto, ttrpc.File_github_com_containerd_ttrpc_request_proto)
	}
	equal(t, (&ttrpc.Request{}).ProtoReflect().Descriptor().FullName(), "ttrpc.Request")
	equal(t, (&ttrpc.StringList{List: []string{"a"}}).ProtoReflect().Descriptor().FullName(), "ttrpc.StringList")
}

func checkNewAPI(t *testing.T, added []string) {
	t.Helper()
	const file = "testdata/api/new.txt"
	text := strings.Join(added, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s is out of date; go test -run TestAPI . -update makes it\n%s", file, text)
	}
}

// exportedAPI lists the exported API of the package in dir as it is on linux, where it is largest,
// one line an entry, sorted. The types of other packages come from the compiler's export data.
func exportedAPI(t *testing.T, dir string) []string {
	t.Helper()
	files, exports := goList(t, dir)
	fset := token.NewFileSet()
	var syntax []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		syntax = append(syntax, f)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	pkg, err := config.Check("github.com/containerd/ttrpc", fset, syntax, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, name := range pkg.Scope().Names() {
		if token.IsExported(name) {
			lines = append(lines, describe(pkg, pkg.Scope().Lookup(name))...)
		}
	}
	slices.Sort(lines)
	return lines
}

// goList returns the source files of the package in dir and where the export data of all it imports
// is.
func goList(t *testing.T, dir string) (files []string, exports map[string]string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Export,GoFiles,DepOnly", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	exports = map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p struct {
			ImportPath, Export string
			GoFiles            []string
			DepOnly            bool
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			files = p.GoFiles
		}
	}
	return files, exports
}

// describe gives the lines of one exported object: its own, then its exported fields and methods.
func describe(pkg *types.Package, obj types.Object) []string {
	qualifier := func(p *types.Package) string {
		if p == pkg {
			return ""
		}
		return p.Path()
	}
	typ := func(t types.Type) string { return types.TypeString(t, qualifier) }
	signature := func(f types.Object) string { return strings.TrimPrefix(typ(f.Type()), "func") }
	switch obj := obj.(type) {
	case *types.Func:
		return []string{"func " + obj.Name() + signature(obj)}
	case *types.Var:
		return []string{"var " + obj.Name() + " " + typ(obj.Type())}
	case *types.Const:
		return []string{"const " + obj.Name() + " " + typ(obj.Type())}
	case *types.TypeName:
		return describeType(obj, typ, signature)
	}
	return []string{fmt.Sprintf("unknown %T %s", obj, obj.Name())}
}

func describeType(obj *types.TypeName, typ func(types.Type) string, signature func(types.Object) string) []string {
	under, name := typ(obj.Type().Underlying()), obj.Name()
	if obj.IsAlias() {
		return []string{"type " + name + " = " + typ(types.Unalias(obj.Type()))}
	}
	var lines []string
	if s, ok := obj.Type().Underlying().(*types.Struct); ok {
		under = "struct"
		for f := range s.Fields() {
			if f.Exported() {
				lines = append(lines, fmt.Sprintf("field (%s) %s %s", name, f.Name(), typ(f.Type())))
			}
		}
	}
	lines = append(lines, "type "+name+" "+under)
	named, ok := obj.Type().(*types.Named)
	if !ok {
		return lines
	}
	for m := range named.Methods() {
		if m.Exported() {
			recv := typ(m.Signature().Recv().Type())
			lines = append(lines, fmt.Sprintf("method (%s) %s%s", recv, m.Name(), signature(m)))
		}
	}
	return lines
}

var (
	entry      = regexp.MustCompile(`^(var|const|field \(\S+\)|func|method \(\S+\)|type) (\w+) ?(= )?(.*)$`)
	importPath = regexp.MustCompile(`[\w.\-]+(/[\w.\-]+)+`)
	mangled    = strings.NewReplacer("/", "ǀ", "-", "ǁ", ".", "ǃ")
)

// withoutNames returns an entry with its type in one form: no names of parameters and results,
// which are not part of a type, and any for interface{}.
func withoutNames(t *testing.T, line string) string {
	t.Helper()
	m := entry.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("not an entry: %q", line)
	}
	kind, name, text := m[1], m[2], m[4]
	if text == "struct" {
		return line
	}
	if kind == "func" || strings.HasPrefix(kind, "method") {
		text = "func" + text
	}
	text = importPath.ReplaceAllStringFunc(text, func(path string) string {
		dot := strings.LastIndex(path, ".")
		return mangled.Replace(path[:dot]) + path[dot:]
	})
	expr, err := parser.ParseExpr(text)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return kind + " " + name + " " + m[3] + bare(expr)
}

// bare prints a type expression without the names of parameters and results.
func bare(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.FuncType:
		return "func" + bareFunc(e)
	case *ast.InterfaceType:
		return bareInterface(e)
	case *ast.StarExpr:
		return "*" + bare(e.X)
	case *ast.Ellipsis:
		return "..." + bare(e.Elt)
	case *ast.ArrayType:
		if e.Len != nil {
			return "[" + types.ExprString(e.Len) + "]" + bare(e.Elt)
		}
		return "[]" + bare(e.Elt)
	case *ast.MapType:
		return "map[" + bare(e.Key) + "]" + bare(e.Value)
	}
	return types.ExprString(expr)
}

func bareFunc(f *ast.FuncType) string {
	return "(" + bareFields(f.Params) + ") (" + bareFields(f.Results) + ")"
}

func bareFields(list *ast.FieldList) string {
	if list == nil {
		return ""
	}
	var out []string
	for _, f := range list.List {
		for range max(1, len(f.Names)) {
			out = append(out, bare(f.Type))
		}
	}
	return strings.Join(out, ", ")
}

func bareInterface(i *ast.InterfaceType) string {
	if i.Methods.NumFields() == 0 {
		return "any"
	}
	var out []string
	for _, m := range i.Methods.List {
		f, isMethod := m.Type.(*ast.FuncType)
		if !isMethod || len(m.Names) == 0 {
			out = append(out, bare(m.Type))
			continue
		}
		out = append(out, m.Names[0].Name+bareFunc(f))
	}
	slices.Sort(out)
	return "interface{" + strings.Join(out, "; ") + "}"
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// TestTopLevel holds that users find at the top level what they look for there.
func TestTopLevel(t *testing.T) {
	for _, name := range strings.Fields("channel.go client.go server.go services.go codec.go types.go config.go " +
		"cmd example plugin go.mod README.md LICENSE") {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}
