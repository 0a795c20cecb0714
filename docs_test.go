//go:build go1.25

package ttrpc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// TestReadmeIsShort holds the README to what somebody reads: the rest has pages of its own.
func TestReadmeIsShort(t *testing.T) {
	if words := len(strings.Fields(strings.Join(readLines(t, "README.md"), "\n"))); words >= 2000 {
		t.Errorf("README.md has %d words: move something to another document", words)
	}
}

// TestMapHasAllFiles holds CONTRIBUTING.md to name each file of the library, some by a pattern.
func TestMapHasAllFiles(t *testing.T) {
	names := regexp.MustCompile(`[\w*.]+\.go`).FindAllString(strings.Join(readLines(t, "CONTRIBUTING.md"), "\n"), -1)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		named := strings.HasSuffix(file, "_test.go") || slices.ContainsFunc(names, func(name string) bool {
			matches, err := filepath.Match(name, file)
			return err == nil && matches
		})
		if !named {
			t.Errorf("CONTRIBUTING.md does not name %s", file)
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

// verb is a verb of package fmt. In MESSAGES.md a word in capitals stands for its value, or an
// example.
var verb = regexp.MustCompile(`%[a-zA-Z]`)

// ownTexts lists the string literals of the library that begin as its messages do, by file.
func ownTexts(t *testing.T) map[string][]string {
	t.Helper()
	texts := map[string][]string{}
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d.IsDir() && path != "." && path != "internal" && !strings.HasPrefix(path, "internal"+string(filepath.Separator)) {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err == nil && strings.HasPrefix(text, "ttrpc: ") {
					texts[path] = append(texts[path], text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestMessagesPage holds MESSAGES.md to be complete: it has each message of the library, and each
// exported sentinel by its name and its text.
func TestMessagesPage(t *testing.T) {
	page := strings.Join(readLines(t, "MESSAGES.md"), "\n")
	texts := ownTexts(t)
	if len(texts["errors.go"]) == 0 {
		t.Fatal("errors.go has no texts")
	}
	for file, list := range texts {
		for _, text := range list {
			pattern := strings.Join(quoteAll(verb.Split(strings.TrimRight(text, ", "), -1)), "[^`]+")
			if !regexp.MustCompile("`[^`]*" + pattern + "[^`]*`").MatchString(page) {
				t.Errorf("MESSAGES.md lacks %q of %s", text, file)
			}
		}
	}
	for name, text := range sentinels(t) {
		if !strings.Contains(page, "`"+name+"`") || !strings.Contains(page, text) {
			t.Errorf("MESSAGES.md lacks %s or its text %q", name, text)
		}
	}
}

// sentinels are the exported errors and their texts. What errors.go says behind one that a package
// below declares is the text that it has.
func sentinels(t *testing.T) map[string]string {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^\t(Err\w+) += errors\.New\("(.*)"\)$`)
	root, below := strings.Join(readLines(t, "errors.go"), "\n"), strings.Join(readLines(t, "internal/callerr/errors.go"), "\n")
	all, texts := map[string]string{}, map[string]string{}
	for _, m := range declared.FindAllStringSubmatch(below, -1) {
		texts[m[1]] = m[2]
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(Err\w+) += callerr\.(\w+) // "(.*)"$`).FindAllStringSubmatch(root, -1) {
		if all[m[1]] = m[3]; m[1] != m[2] || texts[m[2]] != m[3] {
			t.Errorf("errors.go says that %s is %q, which is %s with %q", m[1], m[3], m[2], texts[m[2]])
		}
	}
	if len(all) == 0 || len(all) != len(texts) {
		t.Errorf("errors.go exports %d errors of the %d in internal/callerr/errors.go", len(all), len(texts))
	}
	for _, m := range declared.FindAllStringSubmatch(root, -1) {
		all[m[1]] = m[2]
	}
	return all
}

func quoteAll(texts []string) []string {
	for i, text := range texts {
		texts[i] = regexp.QuoteMeta(text)
	}
	return texts
}
