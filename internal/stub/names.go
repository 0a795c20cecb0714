package stub

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// disambiguate gives every declaration and every method a name of its own. Where the .proto file's
// names meet in Go, the one that is spelled alike in both keeps it, the other gets an underscore.
func (f *File) disambiguate() {
	taken := map[string]bool{}
	for _, name := range f.Taken {
		taken[name] = true
	}
	for _, q := range f.qualifiers() {
		taken[q] = true
	}
	for _, s := range exactFirst(f.Services, (*Service).spelledAlike) {
		s.settleMethods()
		s.settleExported(taken)
	}
	for _, s := range f.Services { // what the original does not have gives way to what it has
		s.unimplemented = free("Unimplemented"+s.serviceType(), taken)
		s.settleUnexported(taken)
	}
}

func (m *Method) spelledAlike() bool { return m.Name == m.GoName }

// spelledAlike allows for a prefix before the Go name.
func (s *Service) spelledAlike() bool {
	return strings.HasSuffix(s.Streams, s.Name[strings.LastIndex(s.Name, ".")+1:])
}

// exactFirst returns the items for which exact holds, then the others.
func exactFirst[T any](items []T, exact func(T) bool) []T {
	var first, rest []T
	for _, item := range items {
		if exact(item) {
			first = append(first, item)
		} else {
			rest = append(rest, item)
		}
	}
	return append(first, rest...)
}

// settleMethods gives the methods distinct Go names and decides which names they answer to.
func (s *Service) settleMethods() {
	goNames, wireNames := map[string]bool{}, map[string]bool{}
	for _, m := range s.Methods {
		wireNames[m.Name] = true
	}
	for _, m := range exactFirst(s.Methods, (*Method).spelledAlike) {
		m.GoName = free(m.GoName, goNames)
		m.wire = []string{m.Name}
		if !wireNames[m.CamelName] {
			wireNames[m.CamelName] = true
			m.wire = append(m.wire, m.CamelName)
		}
	}
}

// settleExported appends underscores to the service's Go names until nobody holds any name made of
// them.
func (s *Service) settleExported(taken map[string]bool) {
	for anyTaken(s.exported(), taken) {
		s.GoName += "_"
		s.Streams += "_"
	}
	for _, name := range s.exported() {
		taken[name] = true
	}
}

// exported lists the names of the service's API.
func (s *Service) exported() []string {
	names := []string{s.serviceType(), s.registerFunc(), s.newFunc()}
	if s.hasStreams() {
		names = append(names, s.clientType())
	}
	for _, m := range s.Methods {
		if m.streams() {
			names = append(names, s.streamServer(m), s.streamClient(m))
		}
	}
	return names
}

// settleUnexported names the types behind the interfaces. Nobody refers to them by name.
func (s *Service) settleUnexported(taken map[string]bool) {
	s.client = free(lowerFirst(s.GoName)+"Client", taken)
	for _, m := range s.Methods {
		if m.streams() {
			m.server = free(lowerFirst(s.streamServer(m)), taken)
			m.client = free(lowerFirst(s.streamClient(m)), taken)
		}
	}
}

func (s *Service) serviceType() string  { return s.GoName + "Service" }
func (s *Service) registerFunc() string { return "Register" + s.GoName + "Service" }
func (s *Service) newFunc() string      { return "New" + s.GoName + "Client" }

// clientType is what a caller holds: the service's own interface where no method streams.
func (s *Service) clientType() string {
	if s.hasStreams() {
		return s.Streams + "Client"
	}
	return s.serviceType()
}

func (s *Service) streamServer(m *Method) string { return s.Streams + "_" + m.GoName + "Server" }
func (s *Service) streamClient(m *Method) string { return s.Streams + "_" + m.GoName + "Client" }

// free takes the name, or the first one with underscores appended that nobody holds.
func free(name string, taken map[string]bool) string {
	for taken[name] {
		name += "_"
	}
	taken[name] = true
	return name
}

func anyTaken(names []string, taken map[string]bool) bool {
	for _, name := range names {
		if taken[name] {
			return true
		}
	}
	return false
}

func lowerFirst(name string) string {
	r, n := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(r)) + name[n:]
}

// qualifiers lists the packages that the generated code names.
func (f *File) qualifiers() []string {
	list := []string{f.Context, f.TTRPC, f.Status, f.Codes}
	for _, s := range f.Services {
		for _, m := range s.Methods {
			for _, goType := range []string{m.Input, m.Output} {
				if pkg, _, imported := strings.Cut(goType, "."); imported {
					list = append(list, pkg)
				}
			}
		}
	}
	return list
}

// locals are the names of parameters and variables. They differ from the names here only in a
// file that imports a package of that name, which they would hide.
type locals struct {
	srv, svc, ctx, req, resp, unmarshal, err, stream, m, x, c, client string
}

func (f *File) locals() *locals {
	imported := map[string]bool{}
	for _, q := range f.qualifiers() {
		imported[q] = true
	}
	pick := func(name string) string { return free(name, imported) }
	return &locals{
		srv: pick("srv"), svc: pick("svc"), ctx: pick("ctx"), req: pick("req"), resp: pick("resp"),
		unmarshal: pick("unmarshal"), err: pick("err"), stream: pick("stream"),
		m: pick("m"), x: pick("x"), c: pick("c"), client: pick("client"),
	}
}
