package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	library    = "github.com/containerd/ttrpc"
	original   = "v1.2.8"
	containerd = "github.com/containerd/containerd/v2@v2.4.2"
	shimFolder = "./cmd/containerd-shim-runc-v2"
)

// program is a main package that links this library or the original.
type program struct {
	name  string
	dir   string // where the go command runs
	pkg   string
	env   []string
	flags []string
}

// pair is one program, built with the one library and with the other.
type pair struct {
	name         string
	ours, theirs program
}

// hellos are the smallest servers, as the benchmark builds them.
func hellos() ([]pair, error) {
	root, err := moduleDir(library)
	if err != nil {
		return nil, err
	}
	peers := filepath.Join(root, "bench", "peers")
	build := func(name, folder string) program {
		return program{name: name, dir: filepath.Join(peers, folder), pkg: "./hello", env: []string{"GOWORK=off"}}
	}
	return []pair{{"the benchmark's hello", build("ours", "ours"), build(original, original)}}, nil
}

// shims are containerd's shims: with this library in place of the original, and as it is released.
// They are built as containerd builds them, in the module cache. The go.mod files are in dir.
func shims(dir string) (pair, error) {
	root, err := moduleDir(library)
	if err != nil {
		return pair{}, err
	}
	out, err := golang(dir, nil, "mod", "download", "-json", containerd)
	if err != nil {
		return pair{}, err
	}
	source := field(out, "Dir")
	build := func(name, file string) program {
		flags := []string{"-modfile=" + filepath.Join(dir, file+".mod"), "-mod=mod"}
		return program{name: name, dir: source, pkg: shimFolder, env: []string{"GOWORK=off", "CGO_ENABLED=0"}, flags: flags}
	}
	p := pair{"containerd's runc shim, " + containerd, build("ours", "ours"), build("released", "released")}
	for _, name := range []string{"ours", "released"} {
		for _, kind := range []string{"mod", "sum"} {
			data, err := os.ReadFile(filepath.Join(source, "go."+kind))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name+"."+kind), data, 0o600)
			}
			if err != nil {
				return p, err
			}
		}
	}
	_, err = golang(dir, nil, "mod", "edit", "-replace="+library+"="+root, filepath.Join(dir, "ours.mod"))
	return p, err
}

func moduleDir(module string) (string, error) {
	out, err := golang(".", nil, "list", "-m", "-f", "{{.Dir}}", module)
	return strings.TrimSpace(out), err
}

// field returns a field of a JSON object whose fields are strings on lines of their own.
func field(object, name string) string {
	_, rest, _ := strings.Cut(object, "\""+name+"\": \"")
	value, _, _ := strings.Cut(rest, "\"")
	return value
}

// build makes the program and returns its file.
func (p program) build(dir, ldflags string) (string, error) {
	file := filepath.Join(dir, "program")
	args := append([]string{"build", "-trimpath", "-ldflags=" + ldflags, "-o", file}, p.flags...)
	_, err := golang(p.dir, p.env, append(args, p.pkg)...)
	return file, err
}

// packages counts the packages that are linked, but for those of the benchmark.
func (p program) packages() (n int, err error) {
	out, err := golang(p.dir, p.env, append(append([]string{"list", "-deps"}, p.flags...), p.pkg)...)
	for name := range strings.Lines(out) {
		if !strings.HasPrefix(name, library+"/bench/") {
			n++
		}
	}
	return n, err
}

func golang(dir string, env []string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, &stderr)
	}
	return stdout.String(), nil
}
