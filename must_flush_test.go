//go:build go1.25

package ttrpc_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

// TestPostedIsFlushed holds that nobody forgets what he has posted: posting returns a
// transport.Unwritten, which is used, that is flushed, returned, handed on or kept. It can't be
// dropped, nor assigned to the blank identifier. The compiler holds that a variable that takes it
// is used.
func TestPostedIsFlushed(t *testing.T) {
	for _, pkg := range loadModule(t, ".") {
		for _, fault := range droppedUnwritten(pkg) {
			t.Error(fault)
		}
	}
}

// TestPostedIsFlushedFixture shows that the test above can fail.
func TestPostedIsFlushedFixture(t *testing.T) {
	root := rootPackage(loadModule(t, "testdata/layers/house"))
	equalLines(t, "dropped", droppedUnwritten(root), []string{
		"posting.go:15 drops the Unwritten of a call",
		"posting.go:16 assigns an Unwritten to _",
		"posting.go:17 drops the Unwritten of a call",
		"posting.go:18 drops the Unwritten of a call",
		"posting.go:20 assigns an Unwritten to _",
		"posting.go:21 assigns an Unwritten to _",
		"posting.go:22 assigns an Unwritten to _",
		"posting.go:24 drops the Unwritten of a call",
		"posting.go:25 drops the Unwritten of a call",
	})
}

// droppedUnwritten finds values of type Unwritten that a package lets fall.
func droppedUnwritten(p *sourcePackage) (faults []string) {
	fault := func(pos token.Pos, what string) { faults = append(faults, fmt.Sprintf("%s %s", p.at(pos), what)) }
	visit := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ExprStmt:
			p.checkDropped(n.X, fault)
		case *ast.GoStmt:
			p.checkDropped(n.Call, fault)
		case *ast.DeferStmt:
			p.checkDropped(n.Call, fault)
		case *ast.AssignStmt:
			p.checkBlank(n.Lhs, n.Rhs, fault)
		case *ast.ValueSpec:
			var names []ast.Expr
			for _, name := range n.Names {
				names = append(names, name)
			}
			p.checkBlank(names, n.Values, fault)
		}
		return true
	}
	for _, f := range p.files {
		ast.Inspect(f, visit)
	}
	slices.Sort(faults)
	return faults
}

func (p *sourcePackage) checkDropped(call ast.Expr, fault func(token.Pos, string)) {
	if slices.ContainsFunc(p.results(call), isUnwritten) {
		fault(call.Pos(), "drops the Unwritten of a call")
	}
}

// checkBlank looks at an assignment, of one call's results or of one value to each name.
func (p *sourcePackage) checkBlank(to, values []ast.Expr, fault func(token.Pos, string)) {
	var given []types.Type
	for _, v := range values {
		given = append(given, p.results(v)...)
	}
	for i, target := range to {
		id, ok := target.(*ast.Ident)
		if ok && id.Name == "_" && i < len(given) && isUnwritten(given[i]) {
			fault(target.Pos(), "assigns an Unwritten to _")
		}
	}
}

// results returns the types of an expression's values: several only for a call.
func (p *sourcePackage) results(e ast.Expr) []types.Type {
	tuple, ok := p.info.TypeOf(e).(*types.Tuple)
	if !ok {
		return []types.Type{p.info.TypeOf(e)}
	}
	var list []types.Type
	for v := range tuple.Variables() {
		list = append(list, v.Type())
	}
	return list
}

// isUnwritten reports whether a type is internal/transport's Unwritten, or a pointer to it.
func isUnwritten(t types.Type) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := t.(*types.Named)
	return ok && n.Obj().Name() == "Unwritten" && n.Obj().Pkg() != nil && n.Obj().Pkg().Name() == "transport"
}
