package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/health"
)

func TestPing(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, false)
	checkLines(t, dir, []line{
		{name: "ping", args: []string{"ping", "DIR/chat.sock", "-n", "2", "-interval", "1ms"}},
		{name: "ping nobody", args: []string{"ping", "DIR/none.sock"}},
		{name: "ping nothing", args: []string{"ping"}},
		{name: "ping without a pause", args: []string{"ping", "DIR/chat.sock", "-interval", "0"}},
	})
}

func TestHealth(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, false)
	startServer(t, filepath.Join(dir, "health.sock"), func(server *ttrpc.Server) {
		h := health.NewServer()
		h.Register(server)
		h.SetServingStatus("ill", health.NotServing)
	})
	checkLines(t, dir, []line{
		{name: "health", args: []string{"health", "DIR/health.sock"}},
		{name: "health ill", args: []string{"health", "DIR/health.sock", "ill"}},
		{name: "health unknown", args: []string{"health", "DIR/health.sock", "none"}},
		{name: "health list", args: []string{"health", "DIR/health.sock", "-list"}},
		{name: "health none", args: []string{"health", "DIR/chat.sock"}},
		{name: "health nothing", args: []string{"health"}},
		{name: "health both", args: []string{"health", "DIR/chat.sock", "-list", "-watch"}},
	})
}

// writerFunc is a function that is a Writer.
type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// A watch shows the status as it changes, and ends with the context.
func TestHealthWatch(t *testing.T) {
	dir := tempDir(t)
	h := health.NewServer()
	startServer(t, filepath.Join(dir, "health.sock"), h.Register)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen strings.Builder
	out := writerFunc(func(p []byte) (int, error) {
		seen.Write(p)
		if strings.Contains(string(p), "NOT") {
			cancel()
		} else {
			h.SetServingStatus("", health.NotServing)
		}
		return len(p), nil
	})
	code := run(ctx, []string{"health", dir + "/health.sock", "-watch"}, stdio{nil, out, os.Stderr})
	if code != 0 || seen.String() != "SERVING\nNOT_SERVING\n" {
		t.Errorf("exit code %d, %q", code, seen.String())
	}
}

func TestShims(t *testing.T) {
	dir := tempDir(t)
	startShim(t, filepath.Join(dir, "s.sock"))
	for file, text := range map[string]string{
		"ns/new/bootstrap.json": `{"version":3,"address":"unix://` + dir + `/s.sock","protocol":"ttrpc"}`,
		"ns/old/address":        "unix://" + dir + "/s.sock",
		"ns/gone/address":       "unix://" + dir + "/gone.sock",
		"ns/g/bootstrap.json":   `{"version":3,"address":"unix:///x.sock","protocol":"grpc"}`,
		"ns/other/file":         "",
		"ns/bad/bootstrap.json": "broken",
	} {
		path := filepath.Join(dir, "root", file)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"shims", "-root", dir + "/root"}, stdio{nil, &out, &out}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	table := strings.ReplaceAll(out.String(), dir, "DIR")
	table = regexp.MustCompile(`\b`+strconv.Itoa(os.Getpid())+` .*`).ReplaceAllString(table, "PID TIME")
	table = regexp.MustCompile(` +`).ReplaceAllString(table, " ") // columns are as wide as a pid
	golden(t, "shims", table)
	checkLines(t, dir, []line{
		{name: "shims none", args: []string{"shims", "-root", "DIR/none"}},
		{name: "shim call", args: []string{"call", "-root", "DIR/root", "-shim", "ns/new", "Task/State"}},
		{name: "shim call input", args: []string{"call", "-root", "DIR/root", "-shim", "ns/new", "Task/State", "-d", `{"id":"x"}`}},
		{name: "shim old", args: []string{"call", "-root", "DIR/root", "-shim", "ns/old", "containerd.task.v3.Task/State"}},
		{name: "shim old short", args: []string{"call", "-root", "DIR/root", "-shim", "ns/old", "Task/State"}},
		{name: "shim address", args: []string{"call", "DIR/s.sock", "Task/State", "-d", `{"id":"x"}`}},
		{name: "shim unknown", args: []string{"call", "-root", "DIR/root", "-shim", "ns/none", "Task/State"}},
		{name: "shim and an address", args: []string{"call", "-root", "DIR/root", "-shim", "ns/new", "DIR/s.sock", "Task/State"}},
		{name: "shim bad file", args: []string{"call", "-root", "DIR/root", "-shim", "ns/bad", "Task/State"}},
		{name: "shim malformed", args: []string{"call", "-shim", "none", "Task/State"}},
	})
}
