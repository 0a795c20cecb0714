// Package schema finds the descriptors of services and messages: in files that the user names, in
// programs, at the server, and in what is built in.
package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/containerd/ttrpc"
)

// Files are descriptors as they are encoded.
type Files = []*descriptorpb.FileDescriptorProto

// Source is a place where descriptors may be.
type Source struct {
	Name string
	Load func(context.Context) (Files, error)
	// Lookup asks for the file of one symbol, where Load does not bring all. It may be nil.
	Lookup func(context.Context, protoreflect.FullName) (Files, error)
	// Required is a source that the user has named: its error is the Set's.
	Required bool
	// Common is a source that every Set has: what it does not have needs no mention.
	Common bool
}

// Set is what all sources have, merged: of two files of one name, and of two that declare the same
// symbol, the one of the earlier source counts. Sources are asked in their order, and no more of
// them than it takes to find what is looked for. Its methods are safe for concurrent use.
type Set struct {
	ctx     context.Context // for sources that ask the server
	sources []Source

	loading sync.Mutex // guards next; it is held while a source is asked, and taken before mu
	next    int        // the source that is loaded next

	mu      sync.Mutex // guards all below; nothing is waited for under it
	files   map[string]*descriptorpb.FileDescriptorProto
	order   []string
	symbols map[protoreflect.FullName]string // the file that declares it
	built   *protoregistry.Files
	tried   map[string]bool                // files that are built, or being built, or can't be
	absent  map[protoreflect.FullName]bool // what no source has
	failed  []error                        // of sources that have nothing
	loaded  []string                       // the names of sources that have something
}

// New returns the set of some sources. The context is the one with which sources are loaded.
func New(ctx context.Context, sources ...Source) *Set {
	return &Set{
		ctx: ctx, sources: sources, built: new(protoregistry.Files),
		files:   map[string]*descriptorpb.FileDescriptorProto{},
		symbols: map[protoreflect.FullName]string{},
		tried:   map[string]bool{}, absent: map[protoreflect.FullName]bool{},
	}
}

// Known returns the descriptor of a symbol, if a source that has been asked already has it.
func (s *Set) Known(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return building{s}.FindDescriptorByName(name)
}

// Find returns the descriptor of a symbol. The error says where it was looked for.
func (s *Set) Find(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for {
		if d, err := s.Known(name); err == nil {
			return d, nil
		}
		if more, err := s.load(); err != nil {
			return nil, err
		} else if !more {
			return s.lookup(name)
		}
	}
}

// lookup asks the sources that do not tell all at once, one time.
func (s *Set) lookup(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	for _, src := range s.sources {
		if src.Lookup == nil || s.isAbsent(name) {
			continue
		}
		if files, err := src.Lookup(s.ctx, name); err == nil {
			s.add(files, nil)
		}
	}
	d, err := s.Known(name)
	if err != nil {
		s.mu.Lock()
		s.absent[name] = true
		s.mu.Unlock()
		return nil, s.NotFound(string(name), s.near(name))
	}
	return d, nil
}

// FindService is Find of a service: where there is none of that name, other services are offered.
func (s *Set) FindService(name protoreflect.FullName) (protoreflect.ServiceDescriptor, error) {
	d, err := s.Find(name)
	var missing *NotFoundError
	if errors.As(err, &missing) {
		missing.Near = s.NearServices(string(name))
	}
	if err != nil {
		return nil, err
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no service", name)
	}
	return sd, nil
}

func (s *Set) isAbsent(name protoreflect.FullName) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.absent[name]
}

// Services returns all services, sorted by their names.
func (s *Set) Services() ([]protoreflect.ServiceDescriptor, error) {
	if err := s.loadAll(); err != nil {
		return nil, err
	}
	return s.knownServices(), nil
}

// Named returns the services whose name ends in a short one, of the first source that has such.
func (s *Set) Named(short protoreflect.Name) (found []protoreflect.ServiceDescriptor, err error) {
	for {
		for _, sd := range s.knownServices() {
			if sd.Name() == short {
				found = append(found, sd)
			}
		}
		if len(found) > 0 {
			return found, nil
		}
		if more, err := s.load(); err != nil || !more {
			return nil, err
		}
	}
}

func (s *Set) knownServices() (all []protoreflect.ServiceDescriptor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range s.order {
		for _, sdp := range s.files[path].GetService() {
			name := protoreflect.FullName(s.files[path].GetPackage()).Append(protoreflect.Name(sdp.GetName()))
			d, err := building{s}.FindDescriptorByName(name)
			if sd, ok := d.(protoreflect.ServiceDescriptor); ok && err == nil && s.symbols[name] == path {
				all = append(all, sd)
			}
		}
	}
	slices.SortFunc(all, func(a, b protoreflect.ServiceDescriptor) int {
		return strings.Compare(string(a.FullName()), string(b.FullName()))
	})
	return all
}

// Files returns the files of all sources, in the order in which they were found.
func (s *Set) Files() (*descriptorpb.FileDescriptorSet, error) {
	err := s.loadAll()
	s.mu.Lock()
	defer s.mu.Unlock()
	set := new(descriptorpb.FileDescriptorSet)
	for _, name := range s.order {
		set.File = append(set.File, s.files[name])
	}
	return set, err
}

func (s *Set) loadAll() error {
	for {
		if more, err := s.load(); err != nil || !more {
			return err
		}
	}
}

// load asks the next source, and reports whether there was one. Its error is that of a source which
// the user has named, or of the connection.
func (s *Set) load() (bool, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if s.next == len(s.sources) {
		return false, nil
	}
	src := s.sources[s.next]
	s.next++
	files, err := src.Load(s.ctx)
	if err == nil && len(files) == 0 {
		err = errNothing
	}
	if errors.Is(err, ttrpc.ErrClosed) {
		return false, err
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", src.Name, err)
	}
	s.add(files, err)
	if err == nil && !src.Common {
		s.had(src.Name)
	}
	if src.Required {
		return true, err
	}
	return true, nil
}

func (s *Set) had(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = append(s.loaded, name)
}

var errNothing = errors.New("there are no descriptors in it")

func (s *Set) add(files Files, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failure != nil {
		s.failed = append(s.failed, failure)
	}
	s.addLocked(files)
}

func (s *Set) addLocked(files Files) {
	for _, fd := range files {
		if s.files[fd.GetName()] != nil || isPlaceholder(fd) {
			continue
		}
		s.files[fd.GetName()] = fd
		s.order = append(s.order, fd.GetName())
		for _, name := range declared(fd) {
			if _, ok := s.symbols[name]; !ok {
				s.symbols[name] = fd.GetName()
			}
		}
	}
}

// isPlaceholder reports whether a file stands for one that its sender does not have: grpc-go's
// reflection service made some of them up (grpc/grpc-go#6770).
func isPlaceholder(fd *descriptorpb.FileDescriptorProto) bool {
	return strings.HasPrefix(fd.GetSyntax(), "<unknown")
}

// declared returns the names of a file's outermost declarations, and of the messages, enums and
// methods in these.
func declared(fd *descriptorpb.FileDescriptorProto) []protoreflect.FullName {
	var all []protoreflect.FullName
	add := func(scope protoreflect.FullName, name string) protoreflect.FullName {
		full := scope.Append(protoreflect.Name(name))
		all = append(all, full)
		return full
	}
	var messages func(protoreflect.FullName, []*descriptorpb.DescriptorProto)
	messages = func(scope protoreflect.FullName, list []*descriptorpb.DescriptorProto) {
		for _, md := range list {
			full := add(scope, md.GetName())
			messages(full, md.GetNestedType())
			for _, ed := range md.GetEnumType() {
				add(full, ed.GetName())
			}
		}
	}
	pkg := protoreflect.FullName(fd.GetPackage())
	messages(pkg, fd.GetMessageType())
	for _, ed := range fd.GetEnumType() {
		add(pkg, ed.GetName())
	}
	for _, xd := range fd.GetExtension() {
		add(pkg, xd.GetName())
	}
	for _, sd := range fd.GetService() {
		full := add(pkg, sd.GetName())
		for _, md := range sd.GetMethod() {
			add(full, md.GetName())
		}
	}
	return all
}

// building is a Set whose lock is held: the resolver with which its files are built when they are
// needed, with what they import.
type building struct{ s *Set }

func (b building) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if fd := b.s.files[path]; fd != nil && !b.s.tried[path] {
		b.s.tried[path] = true
		// What it imports may be missing, and its names may be taken by an earlier file.
		file, err := protodesc.FileOptions{AllowUnresolvable: true}.New(b.withDependencies(fd), b)
		if err == nil {
			err = b.s.built.RegisterFile(file)
		}
		if err != nil {
			b.s.failed = append(b.s.failed, fmt.Errorf("%s: %w", path, err))
		}
	}
	if file, err := b.s.built.FindFileByPath(path); err == nil {
		return file, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path) // the well-known ones
}

func (b building) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if path, ok := b.s.symbols[name]; ok {
		if _, err := b.FindFileByPath(path); err != nil {
			return nil, protoregistry.NotFound
		}
	}
	if d, err := b.s.built.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}
