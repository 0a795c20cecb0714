//go:build go1.25

package ttrpc_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/containerd/ttrpc"

// layers are the folders of the packages that make the library, from the bottom to the top. A layer
// may use those before it and nothing of those behind it. One that does not exist is held as soon
// as it does.
var layers = []string{"internal/peercred", "internal/codec", "internal/callctx", "internal/streamids", "internal/threads",
	"internal/unixsocket", "internal/notify", "internal/conns", "internal/cowmap", "internal/handshake", "internal/redial",
	"internal/dialer",
	"internal/flow", "internal/wire", "internal/message", "internal/request",
	"internal/transport", "internal/callerr",
	"internal/recv", "internal/peer", "internal/reader", "internal/conn",
	"internal/clientconn", "internal/serverconn", "internal/stats", "internal/runner", "."}

// TestLayersImports holds that no layer names one above it, be it by way of other packages, in
// its tests too, and that no packages import each other in a circle.
func TestLayersImports(t *testing.T) {
	for _, fault := range upwardImports(moduleImports(t, ".", modulePath, true)) {
		t.Error(fault)
	}
	for _, group := range circles(moduleImports(t, ".", modulePath, false)) {
		t.Errorf("packages import each other in a circle: %s", strings.Join(group, ", "))
	}
}

// TestLayersFields holds that a layer touches no field of a type of a layer below: types have
// methods for that. Types whose doc comment says that they are plain data are free: they have no
// rules that could be broken.
func TestLayersFields(t *testing.T) {
	for _, fault := range fieldsFromAbove(loadModule(t, ".")) {
		t.Error(fault)
	}
}

// TestLayersFixtures shows that the tests above can fail: testdata/layers has code with every
// fault.
func TestLayersFixtures(t *testing.T) {
	const dir, module = "testdata/layers/house", "example.com/house"
	equalLines(t, "imports", upwardImports(moduleImports(t, dir, module, true)), []string{
		"internal/transport reaches .: internal/transport, internal/helper, .",
		"internal/wire reaches .: internal/wire, internal/transport, internal/helper, .",
		"internal/wire reaches internal/transport: internal/wire, internal/transport",
	})
	equalLines(t, "imports without tests", upwardImports(moduleImports(t, dir, module, false)), nil)
	equalLines(t, "fields", fieldsFromAbove(loadModule(t, dir)), []string{
		"fields.go:15 touches Frame.Owner of internal/wire",
		"fields.go:16 touches Frame.Owner of internal/wire",
		"fields.go:17 touches Frame.Owner of internal/wire",
		"fields.go:18 fills a Frame of internal/wire field by field",
		"fields.go:19 touches Conn.Inner of internal/transport",
		"fields.go:20 touches Conn.State of internal/transport",
		"fields.go:20 touches Conn.State of internal/transport",
		"fields.go:21 touches Queue.Head of internal/wire",
		"fields.go:22 touches Conn.Header of internal/transport",
		"internal/transport/transport.go:19 touches Frame.Owner of internal/wire",
	})
	groups := circles(moduleImports(t, "testdata/layers/circle", "example.com/circle", false))
	if want := "[[a b c]]"; fmt.Sprint(groups) != want {
		t.Errorf("circles of imports: %v, want %s", groups, want)
	}
}

// equalLines compares what a check says with what it has to say.
func equalLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// upwardImports finds the layers that reach a layer above them, and the way.
func upwardImports(imports map[string][]string) (faults []string) {
	for i, from := range layers {
		for _, to := range layers[i+1:] {
			if way := wayTo(imports, from, to); way != nil {
				faults = append(faults, fmt.Sprintf("%s reaches %s: %s", from, to, strings.Join(way, ", ")))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// wayTo returns the shortest way from one node to another, or nil.
func wayTo(graph map[string][]string, from, to string) []string {
	before := map[string]string{from: ""}
	for next := []string{from}; len(next) > 0; next = next[1:] {
		if next[0] == to {
			var way []string
			for node := to; node != ""; node = before[node] {
				way = append(way, node)
			}
			slices.Reverse(way)
			return way
		}
		for _, node := range graph[next[0]] {
			if _, seen := before[node]; !seen {
				before[node] = next[0]
				next = append(next, node)
			}
		}
	}
	return nil
}

// An owner is the type that a field belongs to.
type owner struct {
	layer string
	name  string
	plain bool // its doc comment says so
}

// fieldsFromAbove finds the places where a layer touches a field of a lower one.
func fieldsFromAbove(packages []*sourcePackage) (faults []string) {
	owners := map[*types.Var]owner{}
	named := map[*types.TypeName]owner{}
	for _, layer := range layers {
		for _, pkg := range packages {
			if pkg.dir == layer {
				faults = append(faults, pkg.foreignFields(owners, named)...)
				pkg.addOwners(owners, named)
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// foreignFields finds uses of fields that the layers below own.
func (p *sourcePackage) foreignFields(owners map[*types.Var]owner, named map[*types.TypeName]owner) (faults []string) {
	touch := func(pos token.Pos, v *types.Var) {
		if o, ok := owners[v.Origin()]; ok && !o.plain {
			faults = append(faults, fmt.Sprintf("%s touches %s.%s of %s", p.at(pos), o.name, v.Name(), o.layer))
		}
	}
	for id, obj := range p.info.Uses {
		if v, ok := obj.(*types.Var); ok && v.IsField() {
			touch(id.Pos(), v)
		}
	}
	for expr, tv := range p.info.Types {
		lit, ok := expr.(*ast.CompositeLit)
		if !ok || len(lit.Elts) == 0 {
			continue
		}
		_, keyed := lit.Elts[0].(*ast.KeyValueExpr)
		if o, ok := ownerOf(tv.Type, named); ok && !o.plain && !keyed {
			faults = append(faults, fmt.Sprintf("%s fills a %s of %s field by field", p.at(lit.Pos()), o.name, o.layer))
		}
	}
	return faults
}

func ownerOf(t types.Type, named map[*types.TypeName]owner) (owner, bool) {
	if p, ok := t.(*types.Pointer); ok { // &T{...} in a list whose type says *T already
		t = p.Elem()
	}
	n, ok := t.(*types.Named)
	if !ok {
		return owner{}, false
	}
	o, ok := named[n.Origin().Obj()]
	return o, ok
}

// addOwners notes the fields of the package's types.
func (p *sourcePackage) addOwners(owners map[*types.Var]owner, named map[*types.TypeName]owner) {
	docs := p.typeDocs()
	for _, name := range p.types.Scope().Names() {
		obj, ok := p.types.Scope().Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() {
			continue
		}
		o := owner{layer: p.dir, name: name, plain: saysPlainData(docs[name])}
		if s, ok := obj.Type().Underlying().(*types.Struct); ok {
			named[obj] = o
			addFields(owners, o, s)
		}
	}
}

// addFields adds a struct's fields, and those of structs without a name inside it.
func addFields(owners map[*types.Var]owner, o owner, s *types.Struct) {
	for v := range s.Fields() {
		if _, taken := owners[v]; taken {
			continue
		}
		owners[v] = o
		if inner, ok := v.Type().(*types.Struct); ok {
			addFields(owners, o, inner)
		}
	}
}

// typeDocs returns the doc comments of the package's types.
func (p *sourcePackage) typeDocs() map[string]string {
	docs := map[string]string{}
	for _, f := range p.files {
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				ts := spec.(*ast.TypeSpec)
				docs[ts.Name.Name] = ts.Doc.Text()
				if !gen.Lparen.IsValid() {
					docs[ts.Name.Name] += gen.Doc.Text()
				}
			}
		}
	}
	return docs
}

// saysPlainData reports whether a doc comment has these words, be it on two lines.
func saysPlainData(doc string) bool {
	return strings.Contains(strings.ToLower(strings.Join(strings.Fields(doc), " ")), "plain data")
}
