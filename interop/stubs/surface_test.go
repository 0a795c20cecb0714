package stubs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// comparable lists the files that the original's generators make working code of.
var comparable = map[string][]string{
	"protoc-gen-go-ttrpc":  {"unary", "streams", "spelling", "proto2", "optional", "prefixed", "mapped"},
	"protoc-gen-gogottrpc": {"unary", "streams", "spelling", "proto2"},
}

var targets = map[string]string{"protoc-gen-go-ttrpc": "go", "protoc-gen-gogottrpc": "gogo"}

// TestSurface compares the exported API of generated code with what each release of the original
// generates. protoc-gen-go-ttrpc's must be the same. gogo's differs in the lines of changed.txt:
// its streams were unary calls, and methods like get_foo were not exported.
func TestSurface(t *testing.T) {
	var changed []string
	for _, o := range originals {
		for _, name := range o.plugins {
			file := filepath.Join("testdata", "surface", o.release+"-"+targets[name]+".txt")
			if *record {
				recordSurface(t, o, name, file)
			}
			changes := compareSurface(lines(t, file), ourSurface(t, name))
			if name == "protoc-gen-go-ttrpc" && len(changes) > 0 {
				t.Errorf("not as in %s:\n%s", o.release, strings.Join(changes, "\n"))
			}
			changed = append(changed, changes...)
		}
	}
	slices.Sort(changed)
	text := strings.Join(slices.Compact(changed), "\n") + "\n"
	known := filepath.Join("testdata", "surface", "changed.txt")
	if *update {
		write(t, known, text)
	} else if want := strings.Join(lines(t, known), "\n") + "\n"; want != text {
		t.Errorf("%s differs from what is changed:\n%s", known, text)
	}
}

// compareSurface lists what is gone with a minus, and with a plus what an interface has grown by,
// which would break its implementers. New functions and interfaces are free.
func compareSurface(theirs, ours []string) []string {
	var changes []string
	for _, line := range theirs {
		if !slices.Contains(ours, line) {
			changes = append(changes, "- "+line)
		}
	}
	for _, line := range ours {
		head, isMethod := interfaceOf(line)
		if isMethod && slices.Contains(theirs, head) && !slices.Contains(theirs, line) {
			changes = append(changes, "+ "+line)
		}
	}
	return changes
}

// interfaceOf turns "PACKAGE method T.M..." into "PACKAGE interface T".
func interfaceOf(line string) (string, bool) {
	pkg, rest, found := strings.Cut(line, " method ")
	name, _, _ := strings.Cut(rest, ".")
	return pkg + " interface " + name, found
}

// TestSurfaceDiffers shows that the comparison sees what it is for.
func TestSurfaceDiffers(t *testing.T) {
	theirs := []string{"p func F() ()", "p interface I", "p method I.A() ()", "p method I.B() (int)"}
	ours := []string{
		"p func F() ()", "p func G() ()", "p interface I", "p interface J", "p method I.A() ()", "p method I.C() ()",
		"p method J.A() ()",
	}
	got := strings.Join(compareSurface(theirs, ours), "; ")
	if want := "- p method I.B() (int); + p method I.C() ()"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func ourSurface(t *testing.T, name string) []string {
	t.Helper()
	return shorten(runGoHere(t, append([]string{"run", "./surface"}, paths(name)...)...))
}

// recordSurface runs the original's generator over the files and writes down what its code exports.
func recordSurface(t *testing.T, o original, name, file string) {
	t.Helper()
	dir := copyModule(t, o, "surface")
	bin := t.TempDir()
	t.Setenv("GOBIN", bin)
	runGo(t, bin, "install", "github.com/containerd/ttrpc/cmd/"+name+"@"+o.release)
	for _, r := range runs(t) {
		if r.name != targets[name] || !slices.Contains(comparable[name], strings.TrimSuffix(r.file, ".proto")) {
			continue
		}
		for tool, parameter := range r.plugins {
			if tool == name {
				tool = filepath.Join(bin, name)
			} else {
				tool = plugin(t, tool)
			}
			resp, err := askBinary(t, tool, request(t, r.sources(t), r.file, parameter))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range resp.File {
				write(t, filepath.Join(dir, strings.TrimPrefix(f.GetName(), module+"/")), f.GetContent())
			}
		}
	}
	found := shorten(runGo(t, dir, append([]string{"run", "./surface"}, paths(name)...)...))
	write(t, file, strings.Join(found, "\n")+"\n")
}

func paths(name string) []string {
	var list []string
	for _, pkg := range comparable[name] {
		list = append(list, fmt.Sprintf("./gen/%s/%s", targets[name], pkg))
	}
	return list
}

// shorten splits output into lines and drops the module's path.
func shorten(out []byte) []string {
	text := strings.ReplaceAll(string(out), module+"/gen/", "")
	return strings.Split(strings.TrimSpace(text), "\n")
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
