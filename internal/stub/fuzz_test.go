package stub

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzSource: whatever the names in a file, what is written for it is Go, and declares nothing
// twice. names are the services' and their methods', a line each: Service method method/ /method
// /method/ with a slash before or after for each side that streams.
func FuzzSource(f *testing.F) {
	f.Add("Foo get_foo GetFoo\nfoo Get/ /List /Both/", "TTRPC", "FooService Client", "// a comment\n*/")
	f.Add("rpc type client\nRpc context ttrpc srv svc c ctx req stream x", "", "rpcClient", "\x00 \xff \u2028\r\n\tx")
	f.Add("A\nA_\nA__ A A_ A__\na_ a/ /a", "", "AService A_Service", "")
	f.Add("A_B C\nA B_C/\nA B/ C", "", "A_BServer a_BServer", "Deprecated: yes.")
	f.Fuzz(func(t *testing.T, names, prefix, taken, comment string) {
		file := &File{Context: "context", TTRPC: "ttrpc", Unimplemented: true, Status: "status", Codes: "codes", Taken: strings.Fields(taken)}
		seen := map[string]bool{}
		for _, line := range strings.Split(names, "\n") {
			if s := fuzzService(strings.Fields(line), identifier(prefix), comment); s != nil && !seen[s.Name] && len(file.Services) < 8 {
				seen[s.Name] = true
				file.Services = append(file.Services, s)
			}
		}
		if len(file.Services) == 0 {
			return // neither front end asks for that
		}
		src, err := file.Source()
		if strings.ContainsAny(comment, "\x00\ufeff") || !utf8.ValidString(comment) {
			return // Go's scanner refuses that; protoc has not let it pass either
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		checkDeclarations(t, string(src))
	})
}

// fuzzService is what a front end makes of a service; nil without a name.
func fuzzService(words []string, prefix, comment string) *Service {
	if len(words) == 0 || identifier(words[0]) == "" {
		return nil
	}
	name := identifier(words[0])
	goName := strings.ToUpper(name[:1]) + name[1:]
	s := &Service{Name: "pkg." + name, GoName: prefix + goName, Streams: prefix + goName, Doc: Doc{Leading: comment}}
	seen := map[string]bool{}
	for _, word := range words[1:min(len(words), 9)] {
		m := identifier(strings.Trim(word, "/"))
		if m == "" || seen[m] {
			continue
		}
		seen[m] = true
		s.Methods = append(s.Methods, &Method{
			Name: m, GoName: strings.ToUpper(m[:1]) + m[1:], CamelName: strings.ToUpper(m[:1]) + strings.ReplaceAll(m[1:], "_", ""),
			Input: "In", Output: "other.Out", Doc: Doc{Trailing: comment, Deprecated: len(m)%2 == 0},
			ClientStreams: strings.HasPrefix(word, "/"), ServerStreams: strings.HasSuffix(word, "/"),
		})
	}
	return s
}

// identifier is what of s can stand in a .proto file's name that begins with a letter.
func identifier(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, s)
	return strings.TrimLeft(s, "_0123456789")
}

// checkDeclarations parses code and looks for names that are declared twice: at the top, as methods
// of a type, in an interface.
func checkDeclarations(t *testing.T, src string) {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+src, 0)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	declared := map[string]bool{}
	declare := func(name string) {
		if declared[name] {
			t.Fatalf("%s is declared twice\n%s", name, src)
		}
		declared[name] = true
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			declare(receiver(d) + d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					declare(spec.Name.Name)
					for _, m := range methods(spec) {
						declare(spec.Name.Name + "." + m)
					}
				}
			}
		}
	}
}

// receiver is the type that a method belongs to, with a point; empty for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return typ.(*ast.Ident).Name + "."
}

// methods lists those of an interface.
func methods(spec *ast.TypeSpec) (names []string) {
	if it, ok := spec.Type.(*ast.InterfaceType); ok {
		for _, m := range it.Methods.List {
			for _, name := range m.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}
