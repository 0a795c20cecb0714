// Package peer builds the programs of all releases and runs them against each other.
package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// A Release is one version of the library, whose peer is built from a folder of its own.
type Release struct {
	Name    string
	Streams bool // it has streams, and the probes of behaviour
	Ours    bool
}

// Releases are the oldest of each line that is still in use, and ours.
var Releases = []Release{
	{Name: "v1.0.2"},
	{Name: "v1.1.2"},
	{Name: "v1.2.8", Streams: true},
	{Name: "v1.2.10", Streams: true},
	{Name: "ours", Streams: true, Ours: true},
}

// here is this module's folder.
func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Build makes the peer of a release. The originals are built outside of the workspace,
// which would give them this module in place of their own.
func Build(ctx context.Context, r Release, dir string, flags ...string) (string, error) {
	bin := filepath.Join(dir, "peer-"+r.Name)
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", bin}, flags...), ".")...)
	cmd.Dir = filepath.Join(here(), "peers", r.Name)
	cmd.Env = os.Environ()
	if !r.Ours {
		cmd.Env = append(cmd.Env, "GOWORK=off", "GOFLAGS=-mod=readonly")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the peer of %s: %w\n%s", r.Name, err, out)
	}
	return bin, nil
}

// BuildAll makes the peers of all releases and returns their programs by name.
func BuildAll(ctx context.Context, dir string) (map[string]string, error) {
	bins := make(map[string]string)
	var mu sync.Mutex // guards bins and first
	var first error
	var all sync.WaitGroup
	for _, r := range Releases {
		all.Go(func() {
			bin, err := Build(ctx, r, dir)
			mu.Lock()
			defer mu.Unlock()
			bins[r.Name] = bin
			if first == nil {
				first = err
			}
		})
	}
	all.Wait()
	return bins, first
}
