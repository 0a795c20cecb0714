package main

import (
	"context"
	"flag"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

// schemaFlags say where descriptors are, beside what is found unasked.
type schemaFlags struct {
	protos, dirs, protosets, binaries texts
	pid                               int
}

func (s *schemaFlags) declare(fs *flag.FlagSet) {
	fs.Var(&s.protos, "proto", "a `FILE`.proto that has the service")
	fs.Var(&s.dirs, "I", "a `DIR` in which -proto and what it imports are")
	fs.Var(&s.protosets, "protoset", "a `FILE` of descriptors, as protoc -o writes it")
	fs.Var(&s.binaries, "binary", "a Go program's `FILE`: the descriptors in it are used")
	fs.Var((*count)(&s.pid), "pid", "a process `PID`: likewise, out of the program that it runs")
}

const schemaHelp = `The types of messages come from -proto, -protoset, -binary, -pid, the server's reflection, the
program that listens on the unix socket, containerd's services (built in), and the program whose
pid a shim tells, in this order: all are merged, and the first one that has a name counts.`

// named returns the sources that the flags name.
func (s *schemaFlags) named() []schema.Source {
	var all []schema.Source
	if len(s.protos) != 0 {
		all = append(all, schema.Proto(s.dirs, s.protos))
	}
	for _, path := range s.protosets {
		all = append(all, schema.Protoset(path))
	}
	for _, path := range s.binaries {
		all = append(all, required(schema.Binary(path)))
	}
	if s.pid != 0 {
		all = append(all, required(schema.Process(s.pid)))
	}
	return all
}

func required(src schema.Source) schema.Source {
	src.Required = true
	return src
}

// set returns the schema of the flags, and with a connection also what is found through it.
func (s *schemaFlags) set(ctx context.Context, p *peer) *schema.Set {
	sources := s.named()
	if p != nil {
		sources = append(sources, p.source(schema.Reflection(p.client)), p.program(), schema.Builtin(), p.source(p.shimProgram()))
	}
	return schema.New(ctx, sources...)
}

// findMethod returns the method of a name such as pkg.Service/Method. The package may be left out
// where one service alone has the rest of the name, by what choose leaves of those that have.
func findMethod(set *schema.Set, name string, choose func([]string) []string) (protoreflect.MethodDescriptor, error) {
	service, method, ok := cutMethod(name)
	if !ok {
		return nil, usagef("%q is no method: it has the form pkg.Service/Method", name)
	}
	full := protoreflect.FullName(service)
	if !strings.Contains(service, ".") {
		found, err := completeService(set, service, choose)
		if err != nil {
			return nil, err
		}
		full = found
	}
	sd, err := set.FindService(full)
	if err != nil {
		return nil, firstError(onlyService(set, name), err) // maybe the connection's
	}
	md := sd.Methods().ByName(protoreflect.Name(method))
	if md == nil {
		return nil, usagef("service %s has no method %s; it has %s", full, method, methodNames(sd))
	}
	if md.Input().IsPlaceholder() || md.Output().IsPlaceholder() {
		return nil, usagef("the messages of %s are not to be found: %s, %s", md.FullName(), md.Input().FullName(), md.Output().FullName())
	}
	return md, nil
}

// onlyService says so where a name is that of a service, for its last part is no method's.
func onlyService(set *schema.Set, name string) error {
	d, err := set.Known(protoreflect.FullName(name))
	if sd, ok := d.(protoreflect.ServiceDescriptor); ok && err == nil {
		return usagef("%s is a service, of which a method has to be given, as %s/%s; it has %s",
			name, name, strings.Split(methodNames(sd), ", ")[0], methodNames(sd))
	}
	return nil
}

// cutMethod takes pkg.Service/Method, and pkg.Service.Method as grpcurl does.
func cutMethod(name string) (service, method string, ok bool) {
	name = strings.TrimPrefix(name, "/")
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		i = strings.LastIndexByte(name, '.')
	}
	if i <= 0 || i == len(name)-1 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func completeService(set *schema.Set, short string, choose func([]string) []string) (protoreflect.FullName, error) {
	all, err := set.Named(protoreflect.Name(short))
	if err != nil {
		return "", err
	}
	var fits []string
	for _, sd := range all {
		fits = append(fits, string(sd.FullName()))
	}
	if len(fits) > 1 {
		fits = choose(fits)
	}
	switch len(fits) {
	case 0:
		return "", set.NotFound("a service "+short, set.NearServices(short))
	case 1:
		return protoreflect.FullName(fits[0]), nil
	}
	return "", usagef("several services are named %s, of which one has to be given: %s", short, strings.Join(fits, ", "))
}

func methodNames(sd protoreflect.ServiceDescriptor) string {
	var names []string
	for i := range sd.Methods().Len() {
		names = append(names, string(sd.Methods().Get(i).Name()))
	}
	return strings.Join(names, ", ")
}
