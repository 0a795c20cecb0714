package main

import (
	"fmt"
	"go/ast"
)

// apiLines counts the lines that the public API takes of the root package, on this system: its
// declarations without the bodies of functions, and their comments. These lines can't stand
// anywhere else.
func apiLines(t *tree) figure {
	lines := 0
	add := func(doc *ast.CommentGroup, from, to ast.Node) {
		first := from.Pos()
		if doc != nil {
			first = doc.Pos()
		}
		lines += t.fset.Position(to.End()).Line - t.fset.Position(first).Line + 1
	}
	for _, f := range t.root.files {
		if isGenerated(t.fset.Position(f.Pos()).Filename) {
			continue
		}
		if f.Doc != nil {
			add(nil, f.Doc, f.Doc)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if isPublic(d) {
					add(d.Doc, d, d.Type)
				}
			case *ast.GenDecl:
				addSpecs(d, add)
			}
		}
	}
	return figure{name: "of these, the public API: declarations and their comments", value: fmt.Sprintf("%d lines", lines)}
}

// addSpecs adds the exported names of a declaration, each with its comment.
func addSpecs(d *ast.GenDecl, add func(doc *ast.CommentGroup, from, to ast.Node)) {
	for i, spec := range d.Specs {
		var doc *ast.CommentGroup
		exported := false
		switch s := spec.(type) {
		case *ast.TypeSpec:
			doc, exported = s.Doc, s.Name.IsExported()
		case *ast.ValueSpec:
			doc = s.Doc
			for _, name := range s.Names {
				exported = exported || name.IsExported()
			}
		}
		if doc == nil && i == 0 {
			doc = d.Doc
		}
		if exported {
			add(doc, spec, spec)
		}
	}
}

// isPublic reports whether a function is exported, and a method's type is.
func isPublic(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return d.Name.IsExported()
	}
	on := d.Recv.List[0].Type
	if star, ok := on.(*ast.StarExpr); ok {
		on = star.X
	}
	name, ok := on.(*ast.Ident)
	return d.Name.IsExported() && ok && name.IsExported()
}
