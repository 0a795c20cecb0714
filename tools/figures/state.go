package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// A structType is a struct that a package of the tree declares.
type structType struct {
	name   string
	fields []field
}

// A field is one name in a struct, with what its layout says: a lock guards the fields below it.
type field struct {
	name    string
	kind    types.Type
	comment string
	opens   bool // a blank line or the struct's head is above it
}

// structs returns the tree's struct types by their type's name object.
func (t *tree) structs() map[*types.TypeName]structType {
	all := map[*types.TypeName]structType{}
	for _, pkg := range t.packages {
		for _, f := range pkg.files {
			if isGenerated(t.fileOf(f.Pos())) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				obj, isType := pkg.info.Defs[spec.Name].(*types.TypeName)
				if s, ok := spec.Type.(*ast.StructType); ok && isType {
					all[obj] = structType{spec.Name.Name, t.fieldsOf(pkg, s)}
				}
				return true
			})
		}
	}
	return all
}

func (t *tree) fieldsOf(pkg *sourcePackage, s *ast.StructType) (fields []field) {
	last := 0
	for _, f := range s.Fields.List {
		first := f.Pos()
		if f.Doc != nil {
			first = f.Doc.Pos()
		}
		opens := last == 0 || t.line(first) > last+1
		last = t.line(f.End())
		names := f.Names
		if names == nil { // embedded: its name is its type's
			names = []*ast.Ident{embeddedName(f.Type)}
		}
		for _, name := range names {
			comment := f.Doc.Text() + f.Comment.Text()
			fields = append(fields, field{name.Name, pkg.info.TypeOf(f.Type), comment, opens})
			opens = false
		}
	}
	return fields
}

func (t *tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }

func embeddedName(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.StarExpr:
		return embeddedName(e.X)
	case *ast.SelectorExpr:
		return e.Sel
	case *ast.IndexExpr:
		return embeddedName(e.X)
	case *ast.IndexListExpr:
		return embeddedName(e.X)
	}
	return ast.NewIdent("_")
}

func isNamed(t types.Type, path string, names ...string) bool {
	n, ok := t.(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && slices.Contains(names, n.Obj().Name())
}

// isLock reports whether a field is a lock, or points to the lock of the struct around its own.
func isLock(f field) (lock, pointer bool) {
	kind := f.kind
	if p, ok := kind.(*types.Pointer); ok {
		kind, pointer = p.Elem(), true
	}
	return isNamed(kind, "sync", "Mutex", "RWMutex"), pointer
}

func isBool(t types.Type) bool {
	if b, ok := t.Underlying().(*types.Basic); ok {
		return b.Kind() == types.Bool
	}
	return isNamed(t, "sync/atomic", "Bool")
}

// A census counts the fields of structs, those of structs inside them included.
type census map[*types.TypeName]structType

func (c census) inside(f field) (structType, bool) {
	n, ok := f.kind.(*types.Named)
	if !ok {
		return structType{}, false
	}
	s, ok := c[n.Origin().Obj()]
	return s, ok
}

func (c census) hasLock(s structType) bool {
	return slices.ContainsFunc(s.fields, func(f field) bool {
		lock, pointer := isLock(f)
		inner, ok := c.inside(f)
		return lock && !pointer || ok && c.hasLock(inner)
	})
}

// booleans lists the booleans in a struct.
func (c census) booleans(s structType, prefix string) (names []string) {
	for _, f := range s.fields {
		if inner, ok := c.inside(f); ok {
			names = append(names, c.booleans(inner, prefix+f.name+".")...)
		} else if isBool(f.kind) {
			names = append(names, prefix+f.name)
		}
	}
	return names
}

// leaves lists a field or, when it is a struct of the tree, those inside it.
func (c census) leaves(f field, prefix string) (names []string) {
	inner, ok := c.inside(f)
	if !ok {
		return []string{prefix + f.name}
	}
	for _, g := range inner.fields {
		names = append(names, c.leaves(g, prefix+f.name+".")...)
	}
	return names
}

var (
	guardsBelow  = regexp.MustCompile(`\bguards (everything|all)( of)?( the)?( fields)? below\b`)
	guardedBelow = regexp.MustCompile(`\ball (of )?(those |fields )?below\b.*\bguarded by\b`)
	word         = regexp.MustCompile(`\w+`)
)

// guarded lists what each lock of a struct guards, by the lock's name. A lock guards the fields
// below it up to a blank line or the next lock, up to the end of the struct when its comment says
// "all below", and fields that its comment names behind "guards". A struct inside may have fields
// under the lock of the one around it: below a pointer to a lock, or below a comment that says "all
// below are guarded by". They count for the first lock.
func (c census) guarded(s structType) map[string][]string {
	guards, first := map[string][]string{}, ""
	lock, toEnd := "", false
	for _, f := range s.fields {
		isL, pointer := isLock(f)
		switch {
		case isL && !pointer:
			lock, toEnd = f.name, guardsBelow.MatchString(f.comment)
			first = orElse(first, lock)
			continue
		case f.opens && !toEnd:
			lock = ""
		}
		if lock != "" {
			guards[lock] = append(guards[lock], c.leaves(f, "")...)
		}
	}
	for name, fields := range c.named(s) {
		guards[name] = append(guards[name], fields...)
	}
	if first != "" {
		guards[first] = append(guards[first], c.borrowed(s, "")...)
	}
	for name := range guards {
		slices.Sort(guards[name])
		guards[name] = slices.Compact(guards[name])
	}
	return guards
}

// named lists the fields that the locks' comments name. Structs inside that look after their own
// fields' locks do not count.
func (c census) named(s structType) map[string][]string {
	names := map[string][]string{}
	for _, f := range s.fields {
		_, list, says := strings.Cut(f.comment, "guards ")
		lock, pointer := isLock(f)
		if !says || !lock || pointer {
			continue
		}
		list, _, _ = strings.Cut(list, ";")
		words := word.FindAllString(list, -1)
		for _, g := range s.fields {
			if _, isStruct := c.inside(g); !isStruct && g.name != f.name && slices.Contains(words, g.name) {
				names[f.name] = append(names[f.name], g.name)
			}
		}
	}
	return names
}

// borrowed lists the fields of structs inside that are under the lock of the struct around them.
func (c census) borrowed(s structType, prefix string) (names []string) {
	for _, f := range s.fields {
		inner, ok := c.inside(f)
		if !ok || c.hasLock(inner) {
			continue
		}
		under := false
		for _, g := range inner.fields {
			lock, pointer := isLock(g)
			if under {
				names = append(names, c.leaves(g, prefix+f.name+".")...)
			}
			if lock && pointer {
				under = true
			} else if !under && guardedBelow.MatchString(g.comment) {
				under = true
				names = append(names, prefix+f.name+"."+g.name)
			}
		}
		if !under {
			names = append(names, c.borrowed(inner, prefix+f.name+".")...)
		}
	}
	return names
}

func mostBooleans(t *tree) figure {
	f := figure{name: "booleans in one type with a lock", value: "0"}
	all := census(t.structs())
	for _, s := range sortedStructs(all) {
		if names := all.booleans(s, ""); all.hasLock(s) && len(names) > len(f.details) {
			f.value, f.details = fmt.Sprintf("%d (%s)", len(names), s.name), names
		}
	}
	return f
}

func mostUnderLock(t *tree) figure {
	f := figure{name: "fields under one lock", value: "0"}
	all := census(t.structs())
	for _, s := range sortedStructs(all) {
		guards := all.guarded(s)
		for _, lock := range sortedKeys(guards) {
			if names := guards[lock]; len(names) > len(f.details) {
				f.value, f.details = fmt.Sprintf("%d (%s.%s)", len(names), s.name, lock), names
			}
		}
	}
	return f
}

func sortedStructs(all census) (list []structType) {
	for _, s := range all {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b structType) int { return strings.Compare(a.name, b.name) })
	return list
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
