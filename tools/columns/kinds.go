package main

import (
	"go/scanner"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// A kind of line says which limit it has.
type kind int

const (
	free   kind = iota // none
	inCode             // code's
	inText             // a comment's or a document's
)

func isGenerated(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "// Code generated ") && strings.HasSuffix(line, " DO NOT EDIT.")
	})
}

// goLines tells the lines of a Go file, of whatever is in it: it need not compile.
func goLines(text []byte, n int) []kind {
	kinds := make([]kind, n)
	for i := range kinds {
		kinds[i] = inCode
	}
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, func(token.Position, string) {}, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return kinds
		}
		first := file.Line(pos)
		switch {
		case tok == token.COMMENT:
			fill(kinds[first-1:], lit, inText)
		case tok == token.STRING && lit[0] == '`': // a line of it that is broken is another text
			fill(kinds[first-1:], lit, free)
			continue
		default:
			continue
		}
		switch {
		case isDirective(lit):
			kinds[first-1] = free
		case strings.HasPrefix(lit, "//\t"): // a block of code in a comment
			kinds[first-1] = inCode
		}
	}
}

// fill tells the lines of a token.
func fill(kinds []kind, token string, k kind) {
	for i := range min(strings.Count(token, "\n")+1, len(kinds)) {
		kinds[i] = k
	}
}

var directive = regexp.MustCompile(`^//([a-z0-9]+:|nolint\b)`)

// isDirective reports whether a comment is for a tool, which wants it on one line: //go:build,
// //nolint, //inline:.
func isDirective(comment string) bool { return directive.MatchString(comment) }

// documentLines tells the lines of a markdown document. What tools/readme reads above a block
// stands on one line.
func documentLines(lines []string) []kind {
	kinds := make([]kind, len(lines))
	block := false
	for i, line := range lines {
		trimmed := strings.TrimLeft(line, " >")
		fence := strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")
		switch {
		case fence:
			block = !block
		case block, strings.HasPrefix(trimmed, "|"), strings.HasPrefix(trimmed, "<!--"):
		default:
			kinds[i] = inText
		}
	}
	return kinds
}

// hashLines tells the lines of a file with # comments, whose other lines are free: a command may be
// long.
func hashLines(lines []string) []kind {
	kinds := make([]kind, len(lines))
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			kinds[i] = inText
		}
	}
	return kinds
}

var oneWord = regexp.MustCompile(`^\s*(//|#|[-*>]|\d+\.)?\s*\S+$`)

// isOneWord reports whether a line has no place to break it at.
func isOneWord(line string) bool { return oneWord.MatchString(line) }
