// Command columns holds that lines are short enough to read: comments and documents have at most
// 100 columns, code at most 140.
//
//	go run ./tools/columns [-text n] [-code n] [-tab n] [-count] [file ...]
//
// Without files it looks at all that git knows in the working directory, or would add: Go files,
// documents (*.md), and comments of files whose comments begin with a #. A line of code with a
// comment behind it is a comment's. Free are testdata folders, generated files, tables and blocks
// in documents, and what can't be broken: directives such as //go:generate, raw strings, and lines
// of one word, as of an address.
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
	"strings"
	"unicode/utf8"
)

// limits are numbers of columns.
type limits struct {
	text, code int
	tab        int // a tab's
}

const usage = `usage: columns [flags] [file ...]

Prints lines that are too long. Exit status: 0 when there is none, 1 when there is one or a file can't
be read, 2 for wrong flags.

`

func main() {
	lim := limits{}
	flag.IntVar(&lim.text, "text", 100, "columns of comments and documents")
	flag.IntVar(&lim.code, "code", 140, "columns of code")
	flag.IntVar(&lim.tab, "tab", 1, "columns of a tab")
	count := flag.Bool("count", false, "print the number of lines of each file in place of the lines")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	found, err := run(lim, flag.Args(), *count, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "columns:", err)
	}
	if err != nil || found > 0 {
		os.Exit(1)
	}
}

// run checks files and returns how many lines are too long.
func run(lim limits, names []string, count bool, out io.Writer) (found int, err error) {
	if len(names) == 0 {
		if names, err = known(); err != nil {
			return 0, err
		}
	}
	for _, name := range names {
		info, err := os.Lstat(name)
		if errors.Is(err, os.ErrNotExist) { // deleted, and not committed yet
			continue
		}
		// What a link leads to is looked at under its own name.
		if err == nil && info.Mode()&os.ModeSymlink != 0 {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return found, err
		}
		faults := check(lim, name, text)
		found += len(faults)
		if count && len(faults) > 0 {
			fmt.Fprintf(out, "%5d %s\n", len(faults), name)
		}
		for _, f := range faults {
			if !count {
				fmt.Fprintf(out, "%s:%d: %d columns, at most %d\n", name, f.line, f.columns, f.limit)
			}
		}
	}
	if found > 0 {
		fmt.Fprintf(out, "%d lines are too long\n", found)
	}
	return found, nil
}

// known lists the files that git knows or would add.
func known() ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "-co", "--exclude-standard")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w\n%s", err, &stderr)
	}
	return strings.Split(strings.Trim(string(out), "\x00"), "\x00"), nil
}

// A fault is a line that is too long.
type fault struct{ line, columns, limit int }

// check looks at a file as its name asks for.
func check(lim limits, name string, text []byte) []fault {
	if strings.Contains("/"+filepath.ToSlash(name), "/testdata/") {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	var kinds []kind
	switch filepath.Ext(name) {
	case ".go":
		if isGenerated(lines) {
			return nil
		}
		kinds = goLines(text, len(lines))
	case ".md":
		kinds = documentLines(lines)
	case ".yml", ".yaml", ".conf", ".sh", "":
		if strings.HasPrefix(filepath.Base(name), "LICENSE") {
			return nil
		}
		kinds = hashLines(lines)
	default:
		return nil
	}
	var faults []fault
	for i, line := range lines {
		limit := map[kind]int{inText: lim.text, inCode: lim.code}[kinds[i]]
		if n := lim.columns(line); limit > 0 && n > limit && !isOneWord(line) {
			faults = append(faults, fault{i + 1, n, limit})
		}
	}
	return faults
}

func (lim limits) columns(line string) int {
	return utf8.RuneCountInString(line) + (lim.tab-1)*strings.Count(line, "\t")
}
