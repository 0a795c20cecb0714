package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/scanner"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/types/descriptorpb"
)

// editions is a resolver that parses the files of edition 2024 itself: the compiler's parser knows
// no edition after 2023. Its linker does, so it validates options and resolves features for 2024.
type editions struct{ protocompile.Resolver }

func (e editions) FindFileByPath(path string) (protocompile.SearchResult, error) {
	res, err := e.Resolver.FindFileByPath(path)
	if err != nil || res.Source == nil {
		return res, err
	}
	text, err := io.ReadAll(res.Source)
	if c, ok := res.Source.(io.Closer); ok {
		c.Close()
	}
	if err != nil {
		return res, err
	}
	switch src := scan(text); src.edition {
	case "", "2023":
		res.Source = bytes.NewReader(text)
		return res, nil
	case "2024":
		parsed, err := src.parse(path)
		return protocompile.SearchResult{ParseResult: parsed}, err
	default:
		return res, fmt.Errorf("%s: edition %s is unknown to this command, which knows 2023 and 2024: "+
			"use protoc, or an older edition", path, src.edition)
	}
}

// source is the text of a .proto file, and what the compiler's parser does not know in it.
type source struct {
	text      []byte
	edition   string // empty without an edition
	literal   int    // the offset of the edition's literal
	modifiers []modifier
}

// modifier is a word that edition 2024 has before or after a keyword: export or local before
// message or enum, option after import.
type modifier struct{ word, keyword token }

type token struct {
	text   string
	offset int
}

// scan finds the edition and the modifiers. Statements are told apart by where they end, which
// needs no grammar. What is wrong in the text is left to the parser to say.
func scan(text []byte) *source {
	var s scanner.Scanner
	s.Init(bytes.NewReader(text))
	s.Mode = scanner.ScanIdents | scanner.ScanStrings | scanner.ScanChars | scanner.ScanComments | scanner.SkipComments
	s.Whitespace = scanner.GoWhitespace | 1<<'\v' | 1<<'\f'
	s.Error = func(*scanner.Scanner, string) {}
	src := &source{text: text}
	var statement []token
	for kind := s.Scan(); kind != scanner.EOF; kind = s.Scan() {
		switch kind {
		case ';', '{', '}':
			src.statement(statement)
			statement = statement[:0]
		default:
			statement = append(statement, token{s.TokenText(), s.Offset})
		}
	}
	return src
}

// statement takes the tokens of a statement, up to its semicolon or brace.
func (s *source) statement(tokens []token) {
	if len(tokens) != 3 {
		return
	}
	switch first, second := tokens[0], tokens[1]; {
	case first.text == "edition" && second.text == "=":
		s.edition, s.literal = strings.Trim(tokens[2].text, `"'`), tokens[2].offset
	case first.text == "import" && second.text == "option":
		s.modifiers = append(s.modifiers, modifier{word: second, keyword: first})
	case (first.text == "export" || first.text == "local") && (second.text == "message" || second.text == "enum"):
		s.modifiers = append(s.modifiers, modifier{word: first, keyword: second})
	}
}

// parse returns the file of edition 2024 for the compiler to link. Imports for options are among
// its dependencies until separateImports takes them out.
func (s *source) parse(path string) (parser.Result, error) {
	handler := reporter.NewHandler(nil)
	tree, err := parser.Parse(path, bytes.NewReader(s.as2023()), handler)
	if err != nil {
		return nil, err
	}
	res, err := parser.ResultFromAST(tree, true, handler)
	if err != nil {
		return nil, err
	}
	modified := map[int]string{}
	for _, m := range s.modifiers {
		modified[m.keyword.offset] = m.word.text
	}
	modifier := func(n ast.Node) string { return modified[tree.NodeInfo(n).Start().Offset] }
	file := res.FileDescriptorProto()
	file.Edition = descriptorpb.Edition_EDITION_2024.Enum()
	setVisibility(res, file.MessageType, file.EnumType, modifier)
	file.OptionDependency, err = optionImports(tree, modifier)
	return res, err
}

// as2023 is the text as the parser understands it, each other token at its place.
func (s *source) as2023() []byte {
	text := bytes.Clone(s.text)
	copy(text[s.literal:], `"2023"`)
	for _, m := range s.modifiers {
		copy(text[m.word.offset:], strings.Repeat(" ", len(m.word.text)))
	}
	return text
}

func setVisibility(res parser.Result, messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto,
	modifier func(ast.Node) string,
) {
	for _, e := range enums {
		e.Visibility = visibility(modifier(res.EnumNode(e)))
	}
	for _, m := range messages {
		m.Visibility = visibility(modifier(res.MessageNode(m)))
		setVisibility(res, m.NestedType, m.EnumType, modifier)
	}
}

func visibility(modifier string) *descriptorpb.SymbolVisibility {
	switch modifier {
	case "export":
		return descriptorpb.SymbolVisibility_VISIBILITY_EXPORT.Enum()
	case "local":
		return descriptorpb.SymbolVisibility_VISIBILITY_LOCAL.Enum()
	}
	return nil
}

// optionImports lists the files that are imported for options alone. They come after all others,
// as protoc wants it, so that the others keep their indices.
func optionImports(tree *ast.FileNode, modifier func(ast.Node) string) (paths []string, err error) {
	for _, decl := range tree.Decls {
		imported, ok := decl.(*ast.ImportNode)
		switch {
		case !ok:
		case modifier(imported) != "":
			paths = append(paths, imported.Name.AsString())
		case len(paths) > 0:
			return nil, reporter.Errorf(tree.NodeInfo(imported), "imports should precede any option imports")
		}
	}
	return paths, nil
}
