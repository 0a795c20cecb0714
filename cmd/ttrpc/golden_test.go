package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "write the golden files")

// changing is what differs from run to run, and what stands in its place.
var changing = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`"time":"[^"]*"`), `"time":"TIME"`},
	{regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{6}`), "TIME"},
	{regexp.MustCompile(`timeout=[0-9.]+m?s`), "timeout=REST"},
	{regexp.MustCompile(`time=\S+`), "time=N"},
	{regexp.MustCompile(`(\S:)(  |\x{a0})`), "$1 "}, // protobuf varies its white space
	{regexp.MustCompile(`process \d+`), "process PID"},
	{regexp.MustCompile(`proc/\d+`), "proc/PID"},
}

// runs a command line, in which DIR is the test's folder, and returns all that it says.
func runLine(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	var out, err bytes.Buffer
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", dir)
	}
	code := run(t.Context(), args, stdio{strings.NewReader(stdin), &out, &err})
	text := out.String()
	if err.Len() > 0 {
		text += "--- standard error\n" + err.String()
	}
	text += fmt.Sprintf("--- exit code %d\n", code)
	text = strings.ReplaceAll(text, dir, "DIR")
	for _, c := range changing {
		text = c.re.ReplaceAllString(text, c.by)
	}
	return text
}

// golden compares a text with a file, or writes that.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", strings.ReplaceAll(name, " ", "-")+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

type line struct {
	name, stdin string
	args        []string
}

// checkLines runs each line in a test of its own, against a golden file.
func checkLines(t *testing.T, dir string, lines []line) {
	t.Helper()
	for _, l := range lines {
		t.Run(l.name, func(t *testing.T) { golden(t, l.name, runLine(t, dir, l.stdin, l.args...)) })
	}
}

// tempDir is short: the path of a unix socket may have some 100 bytes.
func tempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "ttrpc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// writeProtoset writes chat.proto's descriptor without what it imports.
func writeProtoset(t *testing.T, path string) {
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(chat(t))}}
	data, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
