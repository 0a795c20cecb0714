package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// A use is a name in one file that another declares.
type use struct {
	pkg      *sourcePackage // of the file that uses it
	from, to string         // files
	pos      token.Pos
	obj      types.Object
}

// uses lists the uses of one package's names by the files of the tree, its own among them.
func (t *tree) uses(of *sourcePackage) (list []use) {
	for _, pkg := range t.packages {
		for id, obj := range pkg.info.Uses {
			if _, isImport := obj.(*types.PkgName); isImport || obj.Pkg() != of.types {
				continue
			}
			list = append(list, use{pkg, t.place(pkg, id.Pos()), t.place(of, obj.Pos()), id.Pos(), obj})
		}
	}
	slices.SortFunc(list, func(a, b use) int { return cmp.Compare(a.pos, b.pos) })
	return list
}

// concern counts the files that a matter is spread over: those named, those that declare or mention
// a named identifier, and those that use what a named file declares. Places outside of the named
// files are what the rest knows of the matter. Those that name a function are calls.
func concern(t *tree, name string, list []string) figure {
	files := map[string]int{}
	calls := 0
	for _, pkg := range t.packages {
		for _, f := range pkg.files {
			file := t.place(pkg, f.Pos())
			if isOf(list, file) {
				files[file] += 0
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && slices.Contains(list, id.Name) {
					files[file]++
				}
				return true
			})
		}
		for _, u := range t.uses(pkg) {
			if u.from != u.to && isOf(list, u.to) && !isOf(list, u.from) {
				files[u.from]++
				if _, isFunc := u.obj.(*types.Func); isFunc {
					calls++
				}
			}
		}
	}
	places := 0
	result := figure{name: name}
	for _, file := range sortedKeys(files) {
		places += files[file]
		result.details = append(result.details, fmt.Sprintf("%s %d", file, files[file]))
	}
	result.value = fmt.Sprintf("%d (%d places outside of %s, calls: %d)", len(files), places, strings.Join(list, ", "), calls)
	return result
}

// isOf reports whether a file is in a list, or in one of its folders, which end with a slash.
func isOf(list []string, file string) bool {
	return slices.ContainsFunc(list, func(of string) bool {
		return of == file || strings.HasSuffix(of, "/") && strings.HasPrefix(file, of)
	})
}

// upwardNames counts what layers name of layers above them, and the fields of lower layers' types
// that are touched from above, but of types whose doc comment says that they are plain data.
func upwardNames(t *tree, layers []string) figure {
	f := figure{name: "names against the layers"}
	byDir := map[string]*sourcePackage{}
	for _, pkg := range t.packages {
		byDir[pkg.dir] = pkg
	}
	var absent []string
	for rank, dir := range layers {
		pkg := byDir[dir]
		if pkg == nil {
			absent = append(absent, dir)
			continue
		}
		free := t.plainFields(pkg)
		for _, u := range t.uses(pkg) {
			from := slices.Index(layers, u.pkg.dir)
			v, isVar := u.obj.(*types.Var)
			touches := isVar && v.IsField() && from > rank && !free[v.Origin()]
			if up := from >= 0 && from < rank; up || touches {
				f.details = append(f.details, fmt.Sprintf("%s:%d %s of %s", u.from, t.line(u.pos), u.obj.Name(), u.to))
			}
		}
	}
	f.value = fmt.Sprint(len(f.details))
	if len(absent) > 0 {
		f.value += " (absent: " + strings.Join(absent, ", ") + ")"
	}
	return f
}

// plainFields returns the fields of a package's types that are plain data.
func (t *tree) plainFields(pkg *sourcePackage) map[*types.Var]bool {
	fields := map[*types.Var]bool{}
	for _, file := range pkg.files {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				ts := spec.(*ast.TypeSpec)
				s, ok := pkg.info.Defs[ts.Name].Type().Underlying().(*types.Struct)
				doc := strings.Join(strings.Fields(gen.Doc.Text()+" "+ts.Doc.Text()), " ")
				if !ok || !strings.Contains(strings.ToLower(doc), "plain data") {
					continue
				}
				for v := range s.Fields() {
					fields[v] = true
				}
			}
		}
	}
	return fields
}

// upwardArrows counts the pairs of root files of which one uses a name, method or field of the
// other against the order of files that leaves the fewest such pairs.
func upwardArrows(t *tree) figure {
	arrows := map[string]map[string]string{}
	for _, f := range t.root.files {
		arrows[t.fileOf(f.Pos())] = map[string]string{}
	}
	pairs := 0
	for _, u := range t.uses(t.root) {
		if u.pkg == t.root && u.from != u.to && arrows[u.from][u.to] == "" {
			arrows[u.from][u.to] = u.obj.Name()
			pairs++
		}
	}
	f := figure{name: "uses between root files against their best order"}
	order := bestOrder(arrows)
	for i, from := range order {
		for _, to := range order[i+1:] {
			if name := arrows[from][to]; name != "" {
				f.details = append(f.details, fmt.Sprintf("%s -> %s: %s", from, to, name))
			}
		}
	}
	f.value = fmt.Sprintf("%d of %d", len(f.details), pairs)
	f.details = append(f.details, "", "order: "+strings.Join(order, " "))
	return f
}

// bestOrder orders nodes so that few arrows go from one to a later one. The fewest are hard to
// find: it moves single nodes as long as that helps, from many orders to begin with, the same ones
// each time.
func bestOrder(arrows map[string]map[string]string) []string {
	nodes := sortedKeys(arrows)
	n := len(nodes)
	cost := make([][]int, n) // cost[i][j] when i stands before j
	for i := range cost {
		cost[i] = make([]int, n)
		for j := range cost {
			if arrows[nodes[i]][nodes[j]] != "" {
				cost[i][j] = 1
			}
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	best := slices.Clone(order)
	least := total(cost, best)
	for try := range 200 {
		improve(cost, order)
		if sum := total(cost, order); sum < least {
			best, least = slices.Clone(order), sum
		}
		shuffle(order, try)
	}
	names := make([]string, n)
	for i, node := range best {
		names[i] = nodes[node]
	}
	return names
}

func total(cost [][]int, order []int) (sum int) {
	for i, from := range order {
		for _, to := range order[i+1:] {
			sum += cost[from][to]
		}
	}
	return sum
}

// improve moves single nodes as long as that helps.
func improve(cost [][]int, order []int) {
	for moved := true; moved; {
		moved = false
		for i := range order {
			if to := bestPlace(cost, order, i); to != i {
				node := order[i]
				copy(order[i:], order[i+1:])
				copy(order[to+1:], order[to:len(order)-1])
				order[to] = node
				moved = true
			}
		}
	}
}

// bestPlace says where the i-th node would cost less, or i.
func bestPlace(cost [][]int, order []int, i int) int {
	place, least := i, 0
	node := order[i]
	for sum, j := 0, i-1; j >= 0; j-- {
		if sum += cost[node][order[j]] - cost[order[j]][node]; sum < least {
			place, least = j, sum
		}
	}
	for sum, j := 0, i+1; j < len(order); j++ {
		if sum += cost[order[j]][node] - cost[node][order[j]]; sum < least {
			place, least = j, sum
		}
	}
	return place
}

// shuffle changes an order, for each seed in another way and each time in the same.
func shuffle(order []int, seed int) {
	state := uint32(seed)*2654435761 + 1
	for i := len(order) - 1; i > 0; i-- {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		j := int(state % uint32(i+1))
		order[i], order[j] = order[j], order[i]
	}
}

// rootFiles lists all of the root package's files that are neither tests nor generated, of all
// systems.
func rootFiles(t *tree) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(t.dir, "*.go"))
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.HasSuffix(name, "_test.go") || isGenerated(name)
	}), err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
