package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// peer is one column of the table.
type peer struct {
	name string
	what string
	main program // its client and server
	gogo program // the same with gogo messages, for the peers that have one of their own

	hello program // its smallest server, if it has one of its own
}

// program is a main package in a module of its own. The originals' modules are outside the
// workspace, in which only one ttrpc can exist.
type program struct {
	module    string // its folder below peers/
	pkg       string // the package in it
	workspace bool
}

const (
	ours     = "ours"
	baseline = "v1.2.8"
	gogoBase = "v1.1.2"
)

var allPeers = []peer{
	{
		name: ours, what: "this checkout",
		main: program{ours, ".", true}, hello: program{ours, "./hello", true}, gogo: program{ours, "./gogo", true},
	},
	original(baseline, baseline, "the original ttrpc's fastest release"),
	original("again", baseline, "the same once more: what differs from it is noise"),
	{
		name: gogoBase, what: "the original ttrpc with gogo messages",
		main: program{gogoBase, ".", false}, hello: program{gogoBase, "./hello", false}, gogo: program{gogoBase, ".", false},
	},
	original("v1.2.10", "v1.2.10", "the original ttrpc's newest release"),
	other("grpc", "google.golang.org/grpc"),
	other("drpc", "storj.io/drpc"),
	other("netrpc", "net/rpc of the standard library, gob messages"),
	other("kitex", "github.com/cloudwego/kitex, its own protocol on one connection for all calls"),
	other("raw", "a hand-written framed echo without protobuf: the floor"),
	{name: "raw-spin", what: "the same, asking the socket before it sleeps, as ours does", main: program{"raw-spin", ".", false}},
}

func original(name, version, what string) peer {
	return peer{name: name, what: what, main: program{version, ".", false}, hello: program{version, "./hello", false}}
}

func other(name, what string) peer { return original(name, name, what) }

// file is the program's place among the built ones.
func (p program) file(dir string) string {
	return filepath.Join(dir, strings.TrimSuffix(p.module+"-"+filepath.Base(p.pkg), "-."))
}

// build makes the program, stripped.
func (p program) build(ctx context.Context, dir string) error {
	_, err := p.goTool(ctx, "build", "-ldflags=-s -w", "-o", p.file(dir), p.pkg)
	return err
}

// packages counts what is linked into the program, besides what is written here.
func (p program) packages(ctx context.Context) (n int, err error) {
	out, err := p.goTool(ctx, "list", "-deps", p.pkg)
	for name := range strings.Lines(out) {
		if !strings.HasPrefix(name, "github.com/containerd/ttrpc/bench/") {
			n++
		}
	}
	return n, err
}

func (p program) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(sourceDir(), "peers", p.module)
	cmd.Env = os.Environ()
	if !p.workspace {
		cmd.Env = append(cmd.Env, "GOWORK=off")
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in peers/%s: %w\n%s", strings.Join(args, " "), p.module, err, errs.String())
	}
	return string(out), nil
}

// sourceDir is the folder of this file: the peers are built from their sources.
func sourceDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}
