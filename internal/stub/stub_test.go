package stub

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// unary returns a service with one method, Ask.
func unary(name, goName string) *Service {
	return &Service{Name: "pkg." + name, GoName: goName, Streams: goName, Methods: []*Method{
		{Name: "Ask", GoName: "Ask", CamelName: "Ask", Input: "In", Output: "Out"},
	}}
}

// source generates a file and checks that it is Go.
func source(t *testing.T, f *File) string {
	t.Helper()
	f.Context, f.TTRPC, f.Status, f.Codes, f.Unimplemented = "context", "ttrpc", "status", "codes", true
	src, err := f.Source()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+string(src), 0); err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return "\n" + string(src)
}

// declares checks that a name is declared once as a type or function.
func declares(t *testing.T, src string, names ...string) {
	t.Helper()
	for _, name := range names {
		n := strings.Count(src, "\ntype "+name+" ") + strings.Count(src, "\nfunc "+name+"(")
		if n != 1 {
			t.Errorf("%s is declared %d times", name, n)
		}
	}
}

// TestServicesMeet: the service that is spelled as in Go keeps its names, whatever the order.
func TestServicesMeet(t *testing.T) {
	for _, services := range [][]*Service{
		{unary("Foo", "Foo"), unary("foo", "Foo")},
		{unary("foo", "Foo"), unary("Foo", "Foo")},
	} {
		src := source(t, &File{Services: services})
		declares(t, src, "FooService", "RegisterFooService", "NewFooClient", "fooClient",
			"Foo_Service", "RegisterFoo_Service", "NewFoo_Client", "foo_Client")
		if !strings.Contains(src, `svc FooService) {
	srv.Register("pkg.Foo"`) {
			t.Error("Foo lost its name to foo")
		}
	}
}

// TestPrefixedMeet: a prefix does not hide which service is spelled alike.
func TestPrefixedMeet(t *testing.T) {
	src := source(t, &File{Services: []*Service{unary("foo", "TTRPCFoo"), unary("Foo", "TTRPCFoo")}})
	if !strings.Contains(src, `svc TTRPCFooService) {
	srv.Register("pkg.Foo"`) {
		t.Error("Foo lost its name to foo")
	}
}

// TestTaken: messages keep their names, services give way.
func TestTaken(t *testing.T) {
	src := source(t, &File{Taken: []string{"FooService"}, Services: []*Service{unary("Foo", "Foo")}})
	declares(t, src, "Foo_Service", "NewFoo_Client")
}

// TestUnimplementedGivesWay: what can be embedded is an addition, for which no other name changes.
func TestUnimplementedGivesWay(t *testing.T) {
	src := source(t, &File{
		Taken:    []string{"UnimplementedBarService"},
		Services: []*Service{unary("Foo", "Foo"), unary("UnimplementedFoo", "UnimplementedFoo"), unary("Bar", "Bar")},
	})
	declares(t, src, "FooService", "UnimplementedFooService", "UnimplementedFooService_", "BarService", "UnimplementedBarService_",
		"UnimplementedUnimplementedFooService")
	if !strings.Contains(src, "\ntype UnimplementedFooService interface {") {
		t.Error("the service UnimplementedFoo lost its name")
	}
}

// TestNotUnimplemented: on request all is as without.
func TestNotUnimplemented(t *testing.T) {
	f := &File{Context: "context", TTRPC: "ttrpc", Services: []*Service{unary("Foo", "Foo")}}
	src, err := f.Source()
	if err != nil || strings.Contains(string(src), "nimplemented") {
		t.Errorf("%v\n%s", err, src)
	}
}

// TestUnexportedAlone: unexported types give way to imports without changing what is exported.
func TestUnexportedAlone(t *testing.T) {
	s := unary("Foo", "Foo")
	s.Methods[0].Input = "fooClient.In"
	src := source(t, &File{Services: []*Service{s}})
	declares(t, src, "FooService", "NewFooClient", "fooClient_")
}

func TestWireNames(t *testing.T) {
	s := &Service{Methods: []*Method{
		{Name: "get_a", GoName: "GetA", CamelName: "GetA"},
		{Name: "get_b", GoName: "GetB", CamelName: "GetB", ServerStreams: true},
		{Name: "get_c", GoName: "GetC", CamelName: "GetC", ServerStreams: true},
		{Name: "GetC", GoName: "GetC", CamelName: "GetC"},
		{Name: "D_e", GoName: "D_e", CamelName: "DE", ClientStreams: true},
	}}
	s.settleMethods()
	for i, want := range []struct {
		goName, called string
		wire           []string
	}{
		{"GetA", "get_a", []string{"get_a", "GetA"}},
		{"GetB", "GetB", []string{"get_b", "GetB"}},
		{"GetC_", "get_c", []string{"get_c"}},
		{"GetC", "GetC", []string{"GetC"}},
		{"D_e", "DE", []string{"D_e", "DE"}},
	} {
		m := s.Methods[i]
		if m.GoName != want.goName || m.called() != want.called || !slices.Equal(m.wire, want.wire) {
			t.Errorf("%s: %s, called %s, answers to %q, want %+v", m.Name, m.GoName, m.called(), m.wire, want)
		}
	}
}

func TestLocalsGiveWay(t *testing.T) {
	s := unary("Foo", "Foo")
	s.Methods[0].Input, s.Methods[0].Output = "req.In", "req_.Out"
	src := source(t, &File{Services: []*Service{s}})
	if !strings.Contains(src, "Ask(ctx context.Context, req__ *req.In) (*req_.Out, error)") {
		t.Error(src)
	}
}

func TestDoc(t *testing.T) {
	for _, c := range []struct {
		doc  Doc
		want string
	}{
		{Doc{}, ""},
		{Doc{Leading: " One.\n"}, "// One.\n"},
		{Doc{Leading: " One.\n\n Two.\n", Trailing: " Three.\n"}, "// One.\n//\n// Two.\n//\n// Three.\n"},
		{Doc{Trailing: " One. \r\n"}, "// One.\n"},
		{Doc{Leading: "\n \n"}, ""},
		{Doc{Deprecated: true}, "// Deprecated: Do not use.\n"},
		{Doc{Leading: " One.\n", Deprecated: true}, "// One.\n//\n// Deprecated: Do not use.\n"},
		{Doc{Leading: " One.\n\n Deprecated: use Two.\n", Deprecated: true}, "// One.\n//\n// Deprecated: use Two.\n"},
		{Doc{Leading: "go:build ignore\n"}, "// go:build ignore\n"},
		{Doc{Leading: "\ttabbed\n"}, "//\ttabbed\n"},
	} {
		var w writer
		if w.doc(c.doc); w.String() != c.want {
			t.Errorf("%+v: %q, want %q", c.doc, w.String(), c.want)
		}
	}
}

// TestNoMethods: package context is neither needed nor named.
func TestNoMethods(t *testing.T) {
	f := &File{TTRPC: "ttrpc", Unimplemented: true, Services: []*Service{{Name: "Empty", GoName: "Empty", Streams: "Empty"}}}
	src, err := f.Source()
	if err != nil || strings.Contains(string(src), "ontext") {
		t.Errorf("%v\n%s", err, src)
	}
}

// TestNotGo: names that make no Go are an error, with gofmt's reason.
func TestNotGo(t *testing.T) {
	f := &File{Context: "context", TTRPC: "ttrpc", Services: []*Service{unary("Foo", "F o")}}
	if _, err := f.Source(); err == nil {
		t.Error("no error")
	}
}
