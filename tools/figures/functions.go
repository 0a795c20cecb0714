package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A function is one with a body, in a file that is not generated.
type function struct {
	pkg      *sourcePackage
	decl     *ast.FuncDecl
	where    string // file and line
	receiver string // its type's name, if it is a method
	lines    int
	branches int
}

func (f function) name() string {
	if f.receiver != "" {
		return f.receiver + "." + f.decl.Name.Name
	}
	return f.decl.Name.Name
}

func (t *tree) functions() (list []function) {
	for _, pkg := range t.packages {
		for _, file := range pkg.files {
			for _, decl := range file.Decls {
				d, ok := decl.(*ast.FuncDecl)
				if !ok || d.Body == nil || isGenerated(t.fileOf(file.Pos())) {
					continue
				}
				list = append(list, function{
					pkg: pkg, decl: d,
					where:    fmt.Sprintf("%s:%d", t.place(pkg, d.Pos()), t.line(d.Pos())),
					receiver: receiverOf(d),
					lines:    t.line(d.End()) - t.line(d.Pos()) + 1,
					branches: branches(d),
				})
			}
		}
	}
	return list
}

func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	return embeddedName(d.Recv.List[0].Type).Name
}

// branches is the cyclomatic complexity: one and one more for each if, loop, case, && and ||.
func branches(n ast.Node) int {
	count := 1
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			count++
		case *ast.CaseClause:
			if n.List != nil {
				count++
			}
		case *ast.CommClause:
			if n.Comm != nil {
				count++
			}
		case *ast.BinaryExpr:
			if n.Op == token.LAND || n.Op == token.LOR {
				count++
			}
		}
		return true
	})
	return count
}

func functionFigures(t *tree) []figure {
	list := t.functions()
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b function) int { return b.branches - a.branches })
	complex := figure{name: "cyclomatic complexity, most", value: fmt.Sprintf("%d (%s, %s)", list[0].branches, list[0].name(), list[0].where)}
	for _, f := range list[:min(5, len(list))] {
		complex.details = append(complex.details, fmt.Sprintf("%d %s %s", f.branches, f.name(), f.where))
	}
	slices.SortStableFunc(list, func(a, b function) int { return b.lines - a.lines })
	long := figure{name: "longest function", value: fmt.Sprintf("%d lines (%s, %s)", list[0].lines, list[0].name(), list[0].where)}
	for _, f := range list[:min(5, len(list))] {
		long.details = append(long.details, fmt.Sprintf("%d %s %s", f.lines, f.name(), f.where))
	}
	median := figure{name: "median function", value: fmt.Sprintf("%d lines of %d functions", list[len(list)/2].lines, len(list))}
	return []figure{long, median, complex}
}

// rootLines counts the root package's lines and files, and the layers' that it imports.
func rootLines(t *tree) ([]figure, error) {
	names, err := rootFiles(t)
	if err != nil {
		return nil, err
	}
	root, err := countFiles(names)
	if err != nil {
		return nil, err
	}
	names = nil
	for _, pkg := range t.packages {
		for _, f := range pkg.files {
			if name := t.fset.Position(f.Pos()).Filename; pkg != t.root && !isGenerated(name) {
				names = append(names, name)
			}
		}
	}
	below, err := countFiles(names)
	if err != nil {
		return nil, err
	}
	longest, longestName := root.longest, root.longestName
	if below.longest > longest {
		longest, longestName = below.longest, below.longestName
	}
	comments := 100 * (root.comments + below.comments) / max(1, root.lines-root.blank+below.lines-below.blank)
	return []figure{
		{name: "non-test Go in the root package", value: fmt.Sprintf("%d lines in %d files", root.lines, root.files)},
		apiLines(t),
		{name: "the same in packages of the module below it", value: fmt.Sprintf("%d lines in %d files", below.lines, below.files)},
		{name: "longest file", value: fmt.Sprintf("%d lines (%s)", longest, longestName)},
		{name: "comments, of lines that are not blank", value: fmt.Sprintf("%d %%", comments)},
	}, nil
}

// A count is of lines: a comment's are those that hold nothing else.
type count struct {
	files, lines, blank, comments int
	longest                       int
	longestName                   string
}

func countFiles(names []string) (count, error) {
	var c count
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return c, err
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		c.files++
		c.lines += len(lines)
		if len(lines) > c.longest {
			c.longest, c.longestName = len(lines), filepath.Base(name)
		}
		for _, line := range lines {
			switch line = strings.TrimSpace(line); {
			case line == "":
				c.blank++
			case strings.HasPrefix(line, "//"):
				c.comments++
			}
		}
	}
	return c, nil
}
