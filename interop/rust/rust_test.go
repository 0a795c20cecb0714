package rust

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/internal/peer"
)

// halves are the crate's, and the programs that use them. The blocking one has no streams.
var halves = []peer.Release{{Name: "peer-sync"}, {Name: "peer-async", Streams: true}}

const (
	callsService   = "ttrpc.interop.rust.Calls"
	streamsService = "ttrpc.interop.rust.Streams"
	patience       = 1 * time.Minute // of what should never hang
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build makes the Rust programs, or skips the test, and returns their folder.
func build(t *testing.T) string {
	t.Helper()
	if os.Getenv("TTRPC_TEST_RUST") == "" {
		t.Skip("TTRPC_TEST_RUST is not set: crates would be downloaded, and compiled for some minutes")
	}
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		t.Skip("the Rust peers can't be built: ", err)
	}
	target := os.Getenv("CARGO_TARGET_DIR")
	if target == "" {
		target = "target"
	}
	target, err = filepath.Abs(target)
	check(t, err)
	out, err := exec.CommandContext(t.Context(), cargo, "build", "--locked", "--target-dir", target).CombinedOutput()
	if err != nil {
		t.Fatalf("cargo build: %v\n%s", err, out)
	}
	return filepath.Join(target, "debug")
}

// TestRust pairs this module with each half of the crate, both ways.
func TestRust(t *testing.T) {
	bins := build(t)
	for _, half := range halves {
		bin := filepath.Join(bins, half.Name)
		t.Run(half.Name+" serves", func(t *testing.T) { callRust(t, half, bin) })
		t.Run(half.Name+" calls", func(t *testing.T) { serveRust(t, half, bin) })
	}
}

// serveRust has a client of the crate's run its scenarios; the last has the server shut down.
func serveRust(t *testing.T, half peer.Release, bin string) {
	s, err := ttrpc.NewServer()
	check(t, err)
	t.Cleanup(func() { s.Close() })
	h := &handlers{server: s, stopped: make(chan error, 1)}
	h.register()
	addr := filepath.Join(t.TempDir(), "ours.sock")
	l := listen(t, addr)
	go s.Serve(context.Background(), l)

	results, err := peer.RunClient(t.Context(), bin, &peer.Server{Release: peer.Release{Streams: half.Streams}, Addr: addr})
	check(t, err)
	for _, r := range results {
		t.Logf("%s: %s", r.Scenario, r.Got)
		if r.Got != r.Want {
			t.Errorf("%s: got %q, want %q", r.Scenario, r.Got, r.Want)
		}
	}
	if len(results) == 0 || results[len(results)-1].Scenario != "stop" {
		t.Fatalf("the client ended early, after %d scenarios", len(results))
	}
	check(t, <-h.stopped)
	l.conns(func(r *recorder) { r.wantOnly(t, typeResponse, typeData) })
}
