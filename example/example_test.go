package example

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The two .proto files differ in their proto and Go packages only.
func TestTwinProtos(t *testing.T) {
	google := read(t, "tasks/tasks.proto")
	gogo := read(t, "gogotasks/gogotasks.proto")
	gogo = strings.ReplaceAll(gogo, "gogotasks", "tasks")
	if google != gogo {
		t.Errorf("tasks.proto and gogotasks.proto are no twins; google's:\n%s\ngogo's:\n%s", google, gogo)
	}
}

// read returns a file from its syntax line on: above is the comment that tells the twins apart.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`(?m)^syntax = `).FindIndex(text)
	if at == nil {
		t.Fatalf("%s has no syntax line", path)
	}
	return string(text[at[0]:])
}
