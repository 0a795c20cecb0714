package stubs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestProtoc generates everything with protoc, where it is installed, and compares that with the
// golden files, which are made without.
func TestProtoc(t *testing.T) {
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		t.Skip("protoc is not installed")
	}
	want := golden(t)
	for _, r := range runs(t) {
		t.Run(r.String(), func(t *testing.T) {
			if r.file == "editions.proto" && protocMajor(t, protoc) < 27 {
				t.Skip("this protoc is older than editions")
			}
			for path, content := range runProtoc(t, protoc, r) {
				if want[path] != protocVersion.ReplaceAllString(content, "${1}(unknown)") {
					t.Errorf("%s differs from what protoc makes", path)
				}
			}
		})
	}
}

// protocVersion is the line in protoc-gen-go's header that says which protoc asked.
var protocVersion = regexp.MustCompile(`(?m)^(// \s*protoc\s+)v\S+$`)

// runProtoc returns what protoc writes for a run, by path under the module.
func runProtoc(t *testing.T, protoc string, r run) map[string]string {
	t.Helper()
	dir, out := t.TempDir(), t.TempDir()
	for name, text := range r.sources(t) {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	args := []string{"-I" + dir}
	for name, parameter := range r.plugins {
		short := strings.TrimPrefix(name, "protoc-gen-")
		args = append(args, "--plugin="+name+"="+plugin(t, name), "--"+short+"_out="+out, "--"+short+"_opt="+parameter)
	}
	output(t, exec.Command(protoc, append(args, r.file)...))
	return readTree(t, out)
}

func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[strings.TrimPrefix(filepath.ToSlash(name), module+"/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Error("protoc wrote nothing")
	}
	return files
}

// protocMajor is the first number of "libprotoc 27.3" and of "libprotoc 3.21.12".
func protocMajor(t *testing.T, protoc string) int {
	t.Helper()
	text := string(output(t, exec.Command(protoc, "--version")))
	n, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(text))
	if err != nil {
		t.Fatal(text, err)
	}
	return n
}
