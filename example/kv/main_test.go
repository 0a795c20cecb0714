//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc/example/kv/kvpb"
)

// The test's binary is the program as well.
func TestMain(m *testing.M) {
	if os.Getenv("KV_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func socket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kv") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "KV_MAIN=1")
	return cmd
}

// daemon starts a daemon and returns what ends it and tells what it has logged.
func daemon(t *testing.T, path string) (end func(os.Signal) (string, error)) {
	t.Helper()
	cmd := command(t, "-socket", path, "serve")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = wait()
	})
	return func(signal os.Signal) (string, error) {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Error(err)
		}
		err := wait()
		return log.String(), err
	}
}

// kv runs one command of the client.
func kv(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	out, err := command(t, append([]string{"-socket", path, "-timeout", "1m"}, args...)...).CombinedOutput()
	return string(out), err
}

func TestCommands(t *testing.T) {
	path := socket(t)
	end := daemon(t, path)
	for _, c := range []struct {
		args []string
		want string
		fail bool
	}{
		{[]string{"put", "a=1"}, "a=1\n", false},
		{[]string{"get", "a"}, "a=1\n", false},
		{[]string{"get", "b"}, "kv: rpc error: code = NotFound desc = no such key [resource_name:\"b\"]\n", true},
		{[]string{"load", "b=2", "c=3"}, "2 items\n", false},
		{[]string{"ask", "b", "c"}, "b=2\nc=3\n", false},
		{[]string{"put", "=1"}, "kv: rpc error: code = InvalidArgument desc = an item needs a key []\n", true},
		{[]string{"forget", "a"}, "kv: " + errUsage.Error() + " []\n", true},
	} {
		got, err := kv(t, path, c.args...)
		if strings.ReplaceAll(got, "  ", " ") != c.want || (err != nil) != c.fail {
			t.Errorf("%q: %q and %v, want %q", c.args, got, err, c.want)
		}
	}
	log, err := end(syscall.SIGTERM)
	if err != nil {
		t.Errorf("%v; the daemon's log:\n%s", err, log)
	}
	for _, want := range []string{"Store/Put status=OK", "Store/Get status=NotFound", "Store/Load status=OK"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
}

// A watch goes on over restarts in good order and without, and no put is lost meanwhile.
func TestWatchSurvivesRestarts(t *testing.T) {
	path := socket(t)
	end := daemon(t, path)
	watch := command(t, "-socket", path, "watch", "n")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for i, signal := range []os.Signal{syscall.SIGTERM, os.Kill, syscall.SIGTERM} {
		want := "n=" + strings.Repeat("x", i) + "\n"
		if out, err := kv(t, path, "put", strings.TrimSpace(want)); out != want {
			t.Fatal(out, err)
		}
		for got := ""; got != want; { // a watch that begins again says what it has said
			if got, err = lines.ReadString('\n'); err != nil || len(got) > len(want) {
				t.Fatalf("the watch says %q and %v, want %q", got, err, want)
			}
		}
		log, err := end(signal)
		if signal != os.Kill && (err != nil || !strings.Contains(log, "Store/Watch status=Unavailable")) {
			t.Fatalf("the daemon ends with %v and has logged\n%s", err, log)
		}
		end = daemon(t, path)
	}
	if err := watch.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, lines)
	if watch.Wait() == nil {
		t.Error("a watch that is interrupted ends with 0")
	}
}

func TestNoDaemon(t *testing.T) {
	err := run(context.Background(), socket(t), time.Millisecond, []string{"get", "a"})
	if ttrpc.StatusOf(err).Code() != codes.DeadlineExceeded {
		t.Error(err)
	}
}

// What a program sees that uses the stubs.
func TestStubs(t *testing.T) {
	path := socket(t)
	daemon(t, path)
	client, err := ttrpc.Dial(t.Context(), path, ttrpc.WithWaitForReady())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	store := kvpb.NewStoreClient(client)
	_, err = store.Get(t.Context(), &kvpb.GetRequest{Key: "a"})
	details := ttrpc.StatusOf(err).Details()
	if info, ok := details[0].(*errdetails.ResourceInfo); !ok || info.ResourceName != "a" {
		t.Error(err, details)
	}
	load, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the daemon has refused the item
		err = load.Send(&kvpb.Item{})
	}
	if reply, err := load.CloseAndRecv(); ttrpc.StatusOf(err).Code() != codes.InvalidArgument {
		t.Error(reply, err)
	}
}

// The daemon and its client stay small: what users write again and again, the library has.
func TestLinesOfCode(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	code := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			code++
		}
	}
	if code >= 250 {
		t.Errorf("%d lines of code", code)
	}
}
