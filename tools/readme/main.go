// Command readme does what README.md says, as a newcomer would: it copies the project to an empty
// folder, writes the files that the README shows, and runs its commands in their order. It fails
// when one fails, or when a block of the README says nothing of what is to be done with it.
//
//	go run ./tools/readme [-skip text] [README.md]
//
// A comment on the line above a fenced block says what it is, with paths relative to the folder
// that holds the copy ("ttrpc"):
//
//	<!-- file hello/main.go -->                the block is this file
//	<!-- run in hello -->                      the block is commands for bash in this folder
//	<!-- run in hello, needs protoc -->        the same, skipped where there is no such program
//	<!-- run in hello, from tools/x -->        the same, in a copy of that folder of the project
//	<!-- shown: reason -->                     the block is only to be read
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	skip := flag.String("skip", "", "leave out commands that contain this text")
	flag.Parse()
	name := "README.md"
	if flag.NArg() > 0 {
		name = flag.Arg(0)
	}
	if err := run(name, *skip, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

func run(name, skip string, out io.Writer) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	blocks, err := parse(string(text))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "readme")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyProject(filepath.Dir(name), filepath.Join(dir, "ttrpc")); err != nil {
		return err
	}
	for _, b := range blocks {
		if err := b.do(dir, skip, out); err != nil {
			return fmt.Errorf("%s:%d: %w", name, b.line, err)
		}
	}
	return nil
}

// A block is one fenced block and the comment above it.
type block struct {
	line int
	verb string // file, run, shown
	path string // of the file, or of the folder to run in
	need string // a program
	from string // a folder of the project
	text string
}

var (
	note  = regexp.MustCompile(`^<!-- (?:(file) (\S+)|(run) in ([^\s,]+)(?:, needs (\S+)|, from (\S+))?|(shown): .+) -->$`)
	fence = "```"
)

// parse returns the blocks of a markdown text, in their order.
func parse(text string) ([]block, error) {
	var blocks []block
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], fence) {
			continue
		}
		start := i
		var m []string
		if start > 0 {
			m = note.FindStringSubmatch(lines[start-1])
		}
		if m == nil {
			return nil, fmt.Errorf("line %d: a block without a comment that says what it is", start+1)
		}
		for i++; i < len(lines) && lines[i] != fence; i++ {
		}
		if i == len(lines) {
			return nil, fmt.Errorf("line %d: the block does not end", start+1)
		}
		body := strings.Join(lines[start+1:i], "\n") + "\n"
		blocks = append(blocks, block{start + 1, m[1] + m[3] + m[7], m[2] + m[4], m[5], m[6], body})
	}
	return blocks, nil
}

func (b block) do(dir, skip string, out io.Writer) error {
	path := filepath.Join(dir, b.path)
	switch {
	case b.verb == "file":
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(b.text), 0o644)
	case b.verb == "run":
		if err := b.begin(dir, path); err != nil {
			return err
		}
		return b.command(path, skip, out)
	}
	return nil
}

// begin makes the folder to run in. A copy must not meet files that are there already.
func (b block) begin(dir, path string) error {
	if b.from == "" {
		return os.MkdirAll(path, 0o755)
	}
	return os.CopyFS(path, os.DirFS(filepath.Join(dir, "ttrpc", b.from)))
}

func (b block) command(dir, skip string, out io.Writer) error {
	fmt.Fprintf(out, "--- in %s\n%s", b.path, b.text)
	if skip != "" && strings.Contains(b.text, skip) {
		fmt.Fprintln(out, "--- left out, as asked")
		return nil
	}
	if b.need != "" && !installed(b.need) {
		fmt.Fprintf(out, "--- NOT RUN: there is no %s here\n", b.need)
		return nil
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", b.text)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%q: %w", strings.TrimSpace(b.text), err)
	}
	return nil
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// copyProject copies what git would commit of the project,
// so that nothing helps that a clone does not have.
func copyProject(from, to string) error {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = from
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range bytes.SplitSeq(bytes.Trim(names, "\x00"), []byte{0}) {
		err := copyFile(filepath.Join(from, string(name)), filepath.Join(to, string(name)))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a file that is deleted and not committed yet
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}
