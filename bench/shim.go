package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// containerd is the release whose shim is built.
const containerd = "v2.4.2"

// ttrpcOf is what containerd's ttrpc is replaced by for a peer, and whether it can be.
func ttrpcOf(of peer) (replacement string, ok bool) {
	switch {
	case of.name == ours:
		return filepath.Dir(sourceDir()), true
	case strings.HasPrefix(of.main.module, "v1.2."):
		return "github.com/containerd/ttrpc " + of.main.module, true
	}
	return "", false
}

func shimFile(dir string, of peer) string { return filepath.Join(dir, "shim-"+of.main.module) }

// buildShim makes containerd's shim with a peer's ttrpc, stripped, in a module of its own.
func buildShim(ctx context.Context, dir string, of peer) error {
	replacement, ok := ttrpcOf(of)
	if !ok {
		return nil
	}
	module := shimFile(dir, of) + ".mod"
	if err := os.MkdirAll(module, 0o755); err != nil {
		return err
	}
	text := "module shim\n\ngo 1.26\n\nrequire github.com/containerd/containerd/v2 " + containerd +
		"\n\nreplace github.com/containerd/ttrpc => " + replacement + "\n"
	if err := os.WriteFile(filepath.Join(module, "go.mod"), []byte(text), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-ldflags=-s -w", "-o", shimFile(dir, of),
		"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2")
	cmd.Dir, cmd.Env = module, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("containerd's shim with ttrpc of %s: %w\n%s", of.name, err, said)
	}
	return nil
}
