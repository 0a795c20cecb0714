//go:build go1.25

package ttrpc_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goCommand runs the go command on the root module alone, as somebody sees it who requires it,
// on linux/amd64.
func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// TestRequirements keeps the root module to its four direct requirements.
func TestRequirements(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(goCommand(t, "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range mod.Require {
		got = append(got, r.Path)
	}
	slices.Sort(got)
	want := []string{"golang.org/x/sys", "google.golang.org/genproto/googleapis/rpc", "google.golang.org/grpc", "google.golang.org/protobuf"}
	if !slices.Equal(got, want) {
		t.Errorf("the root module requires %q, want %q", got, want)
	}
	if len(mod.Replace) > 0 {
		t.Errorf("the root module replaces %v: its users would not see that", mod.Replace)
	}
}

var (
	gogo    = regexp.MustCompile(`(?i)gogo/|/gogo`)
	loggers = regexp.MustCompile(`(?i)logrus|containerd/log\b|/zap\b|zerolog|/glog\b|klog|logr\b|/stdr\b|log15|apex/log`)
)

// TestModuleGraph keeps gogo and logging libraries out of the module graph that users get with this
// module.
//
// One exception, named because it can't be helped: the go.mod of google.golang.org/grpc, of which
// this module uses codes and status only, requires glog (for its own examples and glogger package)
// and, by way of OpenTelemetry, logr and stdr. They are in the graph under grpc and never built:
// TestPackages holds that. Every edge to a logging library must therefore start at grpc itself.
func TestModuleGraph(t *testing.T) {
	graph := strings.Split(goCommand(t, "mod", "graph"), "\n")
	if len(graph) < 10 {
		t.Fatalf("this is no module graph: %q", graph)
	}
	for _, edge := range graph {
		from, to, _ := strings.Cut(edge, " ")
		if gogo.MatchString(edge) {
			t.Errorf("gogo is in the module graph: %s", edge)
		}
		if loggers.MatchString(to) && !strings.HasPrefix(from, "google.golang.org/grpc@") {
			t.Errorf("a logging library is in the module graph: %s", edge)
		}
	}
}

// maxPackages is how many packages of others a program links that imports this package and nothing
// else. It may go down.
const maxPackages = 126

// TestPackages keeps what users of this package link small, and free of HTTP, gogo and loggers.
func TestPackages(t *testing.T) {
	packages := strings.Fields(goCommand(t, "list", "-deps", "."))
	others := len(slices.DeleteFunc(slices.Clone(packages), func(p string) bool {
		return p == modulePath || strings.HasPrefix(p, modulePath+"/")
	}))
	t.Logf("%d packages, %d of others", len(packages), others)
	if others > maxPackages {
		t.Errorf("%d packages of others are linked, more than %d", others, maxPackages)
	}
	if !slices.Contains(packages, "google.golang.org/grpc/status") {
		t.Errorf("grpc/status is missing: is this the right package?")
	}
	for _, p := range packages {
		if p == "net/http" || p == "testing" || gogo.MatchString(p) || loggers.MatchString(p) {
			t.Errorf("%s is linked", p)
		}
	}
}
