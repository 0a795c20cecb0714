//go:build go1.25

package ttrpc_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	testName = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	ruleName = regexp.MustCompile(`\*\*(P\d+)\*\*`)
)

// repositoryTests lists the tests of all modules.
func repositoryTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// TestDocumentedTests holds the documents to what they say: the tests that they name exist, and
// every rule of PROTOCOL.md has a test that carries its number.
func TestDocumentedTests(t *testing.T) {
	tests := repositoryTests(t)
	named := 0
	for _, file := range []string{"SECURITY.md", "PROTOCOL.md", "CONTRIBUTING.md"} {
		for _, m := range testName.FindAllStringSubmatch(strings.Join(readLines(t, file), "\n"), -1) {
			named++
			if !tests[m[1]] {
				t.Errorf("%s names %s, which does not exist", file, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no document names a test")
	}
	for _, m := range ruleName.FindAllStringSubmatch(strings.Join(readLines(t, "PROTOCOL.md"), "\n"), -1) {
		if !hasRuleTest(tests, m[1]) {
			t.Errorf("no test carries the number of %s", m[1])
		}
	}
}

// hasRuleTest looks for a test named for one rule: TestP7Whole is P7's and not P70's.
func hasRuleTest(tests map[string]bool, rule string) bool {
	for name := range tests {
		rest, ok := strings.CutPrefix(name, "Test"+rule)
		if ok && (rest == "" || rest[0] < '0' || rest[0] > '9') {
			return true
		}
	}
	return false
}
