package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func project(t *testing.T, readme string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"README.md": readme, ".gitignore": "ignored\n", "ignored": "x\n", "kept": "kept\n", "testdata/a/b/c": "inner\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git := exec.Command("git", "init", "-q", dir)
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "README.md")
}

func block1(note, body string) string { return note + "\n```sh\n" + body + "\n```\n" }

func TestRun(t *testing.T) {
	readme := block1("<!-- file hello/a.txt -->", "text") +
		block1("<!-- run in hello -->", "cat a.txt; cat ../ttrpc/kept; ls ../ttrpc") +
		block1("<!-- run in hello, needs no-such-program -->", "false") +
		block1("<!-- run in hello -->", "echo leave me out; false") +
		block1("<!-- run in copy, from testdata/a -->", "cat b/c; echo more >b/d") +
		block1("<!-- run in copy -->", "cat b/d; ls ../ttrpc/testdata/a/b") +
		block1("<!-- shown: not run -->", "false")
	var out strings.Builder
	if err := run(project(t, readme), "leave me out", &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{
		"\ntext\nkept\nREADME.md\nkept\ntestdata\n", "\ninner\n", "\nmore\nc\n", "NOT RUN: there is no no-such-program", "left out",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
}

func TestFailures(t *testing.T) {
	for name, readme := range map[string]string{
		"a command fails":  block1("<!-- run in hello -->", "false; true"),
		"a pipe fails":     block1("<!-- run in hello -->", "false | cat"),
		"no comment":       "text\n```sh\ntrue\n```\n",
		"an unknown verb":  block1("<!-- walk in hello -->", "true"),
		"a block unended":  "<!-- run in hello -->\n```sh\ntrue\n",
		"a file over file": block1("<!-- file ttrpc/kept/a -->", "text"),
		"a copy of none":   block1("<!-- run in copy, from absent -->", "true"),
		"a copy over copy": strings.Repeat(block1("<!-- run in copy, from testdata/a -->", "true"), 2),
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := run(project(t, readme), "", &out); err == nil {
				t.Errorf("no error:\n%s", &out)
			}
		})
	}
}
