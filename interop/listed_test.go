package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

// TestDifferencesNeedReasons: the list is refused where a difference has no reason.
func TestDifferencesNeedReasons(t *testing.T) {
	read := func(text string) (map[string]difference, error) {
		file := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return readDifferences(file)
	}
	all, err := read("# why\n@ a\n- 1\n- 2\n+ (nothing)\n@ b\n- (nothing)\n+ 3\n")
	if err != nil {
		t.Fatal(err)
	}
	if a := all["a"]; len(a.theirs) != 2 || a.theirs[1] != "2" || a.ours != "" {
		t.Errorf("a is %+v", a)
	}
	if b := all["b"]; len(b.theirs) != 1 || b.theirs[0] != "" || b.ours != "3" {
		t.Errorf("b is %+v", b)
	}
	if _, err := read("# why\n@ a\n- 1\n+ 2\n\n@ b\n- 1\n+ 2\n"); err == nil {
		t.Error("a difference without a reason is taken")
	}
	if _, err := read("nonsense\n"); err == nil {
		t.Error("a line that cannot be read is taken")
	}
}

// TestOursHasNoKnownFaults: no entry of the list excuses our client with our server.
func TestOursHasNoKnownFaults(t *testing.T) {
	for _, f := range peer.KnownFaults() {
		if peer.Known("ours", "ours", peer.Result{Scenario: f.Scenario, Got: f.Got}) != nil {
			t.Errorf("%s: %s", f.Scenario, f.Why)
		}
	}
	wrong := pairing{client: "ours", server: "ours", results: []peer.Result{
		{Scenario: "a", Want: "1", Got: "2"}, {Scenario: "b", Want: "1", Got: "1"},
	}}.wrong()
	if len(wrong) != 1 || wrong[0].Scenario != "a" {
		t.Errorf("wrong are %+v", wrong)
	}
}
