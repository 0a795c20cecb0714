package schema

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// NotFoundError tells that no source has a symbol.
type NotFoundError struct {
	Name  string
	Near  []string // what may have been meant
	Asked []error  // why sources had nothing
	Had   []string // the sources that have others
	End   error    // of the context, if that has ended while the sources were asked
}

// NotFound returns the error for a name, or another text that says what no source has.
func (s *Set) NotFound(name string, near []string) *NotFoundError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &NotFoundError{
		Name: name, Near: near, Asked: slices.Clone(s.failed), Had: slices.Clone(s.loaded), End: s.ctx.Err(),
	}
}

func (e *NotFoundError) Error() string {
	text := "nothing that was found describes " + e.Name
	if len(e.Near) > 0 {
		text += "; is it " + strings.Join(e.Near, ", or ") + "?"
	}
	for _, err := range e.Asked {
		text += "\n\t" + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	for _, name := range e.Had {
		text += "\n\t" + name + ": it describes other things"
	}
	return text + "\n(-proto, -protoset, -binary and -pid name further places)"
}

func (e *NotFoundError) Unwrap() error { return e.End }

// Near returns those of some names that a user may have meant by another one, the nearest first:
// names whose last part is the same but for its case, begins like it, or has a slip in it. Where
// the name has a package, that counts as well.
func Near(meant string, among []string) (names []string) {
	far := func(name string) int {
		if strings.Contains(meant, ".") {
			return distance(strings.ToLower(meant), strings.ToLower(name))
		}
		return distance(lastPart(meant), lastPart(name))
	}
	for _, name := range among {
		if isNear(meant, name) {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(far(a), far(b)) })
	names = names[:min(len(names), 3)]
	return slices.DeleteFunc(names, func(name string) bool { return far(name) > 2*far(names[0]) })
}

func isNear(meant, name string) bool {
	a, b := lastPart(meant), lastPart(name)
	if len(a) > 2 && strings.HasPrefix(b, a) {
		return true
	}
	return distance(a, b) <= min(2, len(a)/3)
}

func lastPart(name string) string {
	return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
}

// distance is how many bytes have to be put in, left out or changed to make one text the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, corner+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// near returns the symbols that a user may have meant by a name, in all that was found.
func (s *Set) near(name protoreflect.FullName) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var among []string
	for symbol := range s.symbols {
		if d, err := (building{s}).FindDescriptorByName(symbol); err == nil && !isMethod(d) {
			among = append(among, string(symbol))
		}
	}
	slices.Sort(among)
	return Near(string(name), among)
}

func isMethod(d protoreflect.Descriptor) bool {
	_, ok := d.(protoreflect.MethodDescriptor)
	return ok
}

// NearServices returns the services that a user may have meant by a name.
func (s *Set) NearServices(name string) []string {
	var among []string
	for _, sd := range s.knownServices() {
		among = append(among, string(sd.FullName()))
	}
	return Near(name, among)
}
