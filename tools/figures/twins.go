package main

import (
	"fmt"
	"go/ast"
	"strings"
)

// smallBody is how many nodes a body has that is too short to be the same as another by more than
// chance: one statement, as in x.wake(), or a return of a field.
const smallBody = 12

// twins counts methods of the same name on types of two sides whose bodies have one shape. A type
// is of a side whose name it begins with, or its package's.
func twins(t *tree, sides []string, alike float64) figure {
	f := figure{name: "functions twice on two sides, in one shape"}
	byName := map[string][]function{}
	for _, fn := range t.functions() {
		if fn.receiver != "" && sideOf(fn, sides) >= 0 {
			byName[fn.decl.Name.Name] = append(byName[fn.decl.Name.Name], fn)
		}
	}
	both, same := 0, 0
	for _, name := range sortedKeys(byName) {
		score, line := bestPair(byName[name], sides)
		if line == "" {
			continue
		}
		both++
		mark := " "
		if score >= alike {
			mark = "="
			same++
		}
		f.details = append(f.details, mark+" "+line)
	}
	f.value = fmt.Sprintf("%d (of %d names on both)", same, both)
	return f
}

// bestPair finds the two most alike functions of two sides. The line is empty when there are no
// two.
func bestPair(list []function, sides []string) (score float64, line string) {
	for i, a := range list {
		for _, b := range list[i+1:] {
			if sideOf(a, sides) == sideOf(b, sides) {
				continue
			}
			s := likeness(shape(a.decl.Body), shape(b.decl.Body))
			if line == "" || s > score {
				score, line = s, fmt.Sprintf("%.2f %s %s, %s %s", s, a.name(), a.where, b.name(), b.where)
			}
		}
	}
	return score, line
}

// sideOf says which side a method's type belongs to; -1: none.
func sideOf(f function, sides []string) int {
	for i, side := range sides {
		side = strings.ToLower(side)
		if strings.HasPrefix(strings.ToLower(f.receiver), side) || strings.HasPrefix(f.pkg.types.Name(), side) {
			return i
		}
	}
	return -1
}

// shape is the sequence of a body's nodes, with the names of what is selected and called, without
// those of variables.
func shape(body ast.Node) (nodes []string) {
	selected := map[*ast.Ident]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case nil:
			return true
		case *ast.SelectorExpr:
			selected[n.Sel] = true
			nodes = append(nodes, "select")
		case *ast.Ident:
			if selected[n] {
				nodes = append(nodes, n.Name)
			} else {
				nodes = append(nodes, "name")
			}
		case *ast.BinaryExpr:
			nodes = append(nodes, n.Op.String())
		case *ast.AssignStmt:
			nodes = append(nodes, n.Tok.String())
		default:
			nodes = append(nodes, fmt.Sprintf("%T", n))
		}
		return true
	})
	return nodes
}

// likeness is twice the length of the longest common subsequence by the sum of the lengths: 1 for
// the same shape. Short bodies are not alike.
func likeness(a, b []string) float64 {
	if len(a) <= smallBody || len(b) <= smallBody {
		return 0
	}
	row := make([]int, len(b)+1)
	for _, x := range a {
		before := 0
		for j, y := range b {
			here := row[j+1]
			if x == y {
				row[j+1] = before + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			before = here
		}
	}
	return 2 * float64(row[len(b)]) / float64(len(a)+len(b))
}
