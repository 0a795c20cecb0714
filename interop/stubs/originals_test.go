package stubs

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "run the original generators and write testdata/surface anew")

// original is a release of the original and what its generated code can be compared with.
type original struct {
	release string
	plugins []string // the plugins that it has
	streams bool     // the library has streams
}

var originals = []original{
	{"v1.0.2", []string{"protoc-gen-gogottrpc"}, false},
	{"v1.1.2", []string{"protoc-gen-gogottrpc"}, false},
	{"v1.2.8", []string{"protoc-gen-gogottrpc", "protoc-gen-go-ttrpc"}, true},
	{"v1.2.10", []string{"protoc-gen-go-ttrpc"}, true},
}

// TestOriginalLibraries compiles, vets and calls the generated code with the original's releases in
// this library's place; those without streams get the services without streams.
func TestOriginalLibraries(t *testing.T) {
	for _, o := range originals {
		t.Run(o.release, func(t *testing.T) {
			dir := copyModule(t, o, "gen", "calls")
			if !o.streams {
				dropStreams(t, dir)
			}
			runGo(t, dir, "vet", "./...")
			if o.streams { // these releases can't send gogo messages
				runGo(t, dir, "test", "./calls/google")
			}
		})
	}
}

// copyModule copies folders into a module that requires the original's release.
func copyModule(t *testing.T, o original, folders ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range folders {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "modules", o.release))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dropStreams removes the packages that need streams, and the tests, which call all packages.
func dropStreams(t *testing.T, dir string) {
	t.Helper()
	os.RemoveAll(filepath.Join(dir, "calls"))
	kept := 0
	for path, content := range golden(t) {
		if strings.Contains(content, "ttrpc.Stream") {
			os.RemoveAll(filepath.Join(dir, filepath.Dir(path)))
		} else if strings.Contains(content, "ttrpc.Server") {
			kept++
		}
	}
	if kept < 6 {
		t.Errorf("only %d files have services without streams", kept)
	}
}

// runGo runs the go command in a module outside the workspace. -trimpath lets the next run find
// the results in the build cache, although the folder has another name then.
func runGo(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath -buildvcs=false")
	return output(t, cmd)
}

// runGoHere runs the go command in this module.
func runGoHere(t *testing.T, args ...string) []byte {
	t.Helper()
	return output(t, exec.Command("go", args...))
}

func output(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return out
}

// TestCopiedTests keeps the tests in calls/gogo the same as those in calls/google.
func TestCopiedTests(t *testing.T) {
	paths, err := filepath.Glob("calls/google/*_both_test.go")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	swap := strings.NewReplacer("package google", "package gogo", goPath, gogoPath,
		"google.golang.org/protobuf/types/known/emptypb", "github.com/gogo/protobuf/types")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := "// Code generated from package google by go test -update. DO NOT EDIT.\n\n" + swap.Replace(string(text))
		target := filepath.Join("calls", "gogo", filepath.Base(path))
		if *update {
			write(t, target, copied)
		} else if have, err := os.ReadFile(target); err != nil || string(have) != copied {
			t.Errorf("%s is not a copy of %s (%v): go test -update", target, path, err)
		}
	}
}
