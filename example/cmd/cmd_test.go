package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc/example/shim"
)

// asCommand makes the test binary be the command: it then is built as the tests are, with the race
// detector or without, and the demo's children inherit it.
const asCommand = "TTRPC_EXAMPLE_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command prepares a run of the command with a temporary folder of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+t.TempDir())
	return cmd
}

// wantLines are what the demo says, in this order; between come only the lines of the other stubs.
var wantLines = []string{
	`^server: listening on unix://.*\.sock$`,
	`^client: STUBS +credentials +Create +` + credentials() + ` +TIME$`,
	`^client: STUBS +unary +Create\(1,000 bytes\) +pid \d+ +TIME$`,
	`^client: STUBS +unary +Wait +exit status 137 +TIME$`,
	`^client: STUBS +metadata +Create \+ example-namespace +the server read k8s.io +TIME$`,
	`^client: STUBS +server-stream +Events +TaskCreated\{pid \d+\}, TaskExited\{status 0\} +TIME$`,
	`^client: STUBS +client-stream +Import\(16 pieces of 64 KiB\) +1048576 bytes, sha256 e4d0ecf2, as sent +TIME$`,
	`^client: STUBS +both-streams +Attach\(3 lines\) +\[ONE TWO THREE\], then the end of the stream +TIME$`,
	`^client: STUBS +paused +Logs, beside an unread stream +1000000 bytes +TIME$`,
	`^client: STUBS +paused +Attach\(1,000 lines\), taken late +1000 answers, in order +TIME$`,
	`^client: STUBS +status +Kill\(nobody\) +NotFound "task nobody: no such task", detail task nobody +TIME$`,
	`^client: STUBS +deadline +Wait, deadline in 50ms +.*context deadline exceeded +TIME$`,
	`^client: STUBS +cancel +Wait, cancelled on the way +context canceled +TIME$`,
	`^client: STUBS +cancel +Wait, as its handler has it +TaskGivenUp\{context canceled\} +TIME$`,
	`^client: STUBS +oversized +Create\(5 MiB\) +not sent: 52\d{5} bytes of at most 4194304 +TIME$`,
	`^client: STUBS +oversized +Logs\(5 MiB\) +ResourceExhausted +TIME$`,
	`^client: STUBS +oversized +Logs\(4,000,000\), same connection +4000000 bytes +TIME$`,
	`^client: google +restart +Create, and Shutdown meanwhile +\d+ calls at two servers, none failed +TIME$`,
	`^client: google +shutdown +Shutdown +under way; 2 calls in flight +TIME$`,
	`^client: google +shutdown +Wait, in flight +exit status 143 +TIME$`,
	`^client: google +shutdown +Events, in flight +TaskExited\{status 143\} +TIME$`,
	`^client: google +shutdown +Wait, on the closed connection +ttrpc: closed +TIME$`,
}

func credentials() string {
	if len(shim.SameUser()) > 0 {
		return `the server's handshake saw user \d+, our own`
	}
	return `no handshake on this server`
}

// checkLines looks for every wanted line in its order, with the stubs named.
func checkLines(t *testing.T, out string, want []string, stubs string) {
	t.Helper()
	lines := strings.Split(out, "\n")
	for _, w := range want {
		w = strings.NewReplacer("STUBS", stubs, "TIME", `[\d.]+(µs|ms|s)`).Replace(w)
		pattern := regexp.MustCompile(w)
		for len(lines) > 0 && !pattern.MatchString(lines[0]) {
			lines = lines[1:]
		}
		if len(lines) == 0 {
			t.Fatalf("no line (in its place) that matches %s in\n%s", w, out)
		}
	}
}

func TestDemo(t *testing.T) {
	cmd := command(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the demo ends with %v:\n%s", err, out)
	}
	checkLines(t, string(out), wantLines, "google")
	checkLines(t, string(out), wantLines, "gogo  ")
	ends := []string{`^server: ended in good order$`, `^server: listening on `, `^server: ended in good order$`, `^demo:   all as it should be, after TIME$`}
	checkLines(t, string(out), ends, "")
	if n := strings.Count(string(out), "\n"); n != 2*len(wantLines)-6+4 {
		t.Errorf("%d lines; some say something unexpected:\n%s", n, out)
	}
	left, err := filepath.Glob(filepath.Join(tmpdir(cmd), "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}

// The README shows the demo's output as it is, but for numbers and the order of the two processes'
// last lines.
func TestReadmeShowsTheDemo(t *testing.T) {
	if len(shim.SameUser()) == 0 {
		t.Skip("the README shows a demo with the credentials handshake, which this system does not have")
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(server: listening .*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no output of the demo")
	}
	out, err := command(t).Output()
	if err != nil {
		t.Fatalf("the demo ends with %v:\n%s", err, out)
	}
	if shown, real := normal(string(block[1])), normal(string(out)); shown != real {
		t.Errorf("the README shows\n%s\nand the demo says\n%s", shown, real)
	}
}

// normal makes two outputs comparable.
func normal(out string) string {
	out = regexp.MustCompile(`unix://\S+`).ReplaceAllString(out, "unix://SOCKET")
	out = regexp.MustCompile(`[\d.]+(µs|ms|s)\b`).ReplaceAllString(out, "TIME")
	out = regexp.MustCompile(`\d+`).ReplaceAllString(out, "N")
	out = regexp.MustCompile(` +`).ReplaceAllString(out, " ")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func tmpdir(cmd *exec.Cmd) string {
	for _, e := range cmd.Env {
		if dir, ok := strings.CutPrefix(e, "TMPDIR="); ok && strings.Contains(dir, "Test") {
			return dir
		}
	}
	return "no TMPDIR"
}

// wantFailure runs a command that has to end with 1 and say why.
func wantFailure(t *testing.T, cmd *exec.Cmd, text string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v ends with %v, want exit code 1", cmd.Args[1:], err)
	}
	if !strings.Contains(string(out), text) {
		t.Errorf("%v says %q, want %q in it", cmd.Args[1:], out, text)
	}
}

func TestDemoFails(t *testing.T) {
	cmd := command(t)
	cmd.Env = append(cmd.Env, "TMPDIR=/nowhere")
	wantFailure(t, cmd, "temporary folder")

	cmd = command(t)
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 120)) // too long for a socket's address
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+long)
	wantFailure(t, cmd, "server ended before it listened")
}

func TestBadArguments(t *testing.T) {
	wantFailure(t, command(t, "dance"), `unknown command "dance"`)
	wantFailure(t, command(t, "server", "-addr", "tcp://127.0.0.1:1"), "want unix://")
	wantFailure(t, command(t, "server", "more"), `unexpected argument "more"`)
	wantFailure(t, command(t, "client", "-addr", "unix:///nowhere/sock"), "dial")
	wantFailure(t, command(t, "client", "-dance"), "-dance")
}

// server is a server process of its own.
type server struct {
	cmd  *exec.Cmd
	addr string
	rest *bufio.Reader // what it says after the line that it listens
}

func startServer(t *testing.T) server {
	t.Helper()
	addr := "unix://" + filepath.Join(t.TempDir(), "s")
	cmd := command(t, "server", "-addr", addr)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || line != listening+addr+"\n" {
		t.Fatalf("the server says %q (%v)", line, err)
	}
	return server{cmd, addr, out}
}

func (s server) wantGoodEnd(t *testing.T) {
	t.Helper()
	var said bytes.Buffer
	_, readErr := said.ReadFrom(s.rest)
	if err := s.cmd.Wait(); err != nil || readErr != nil || said.String() != "ended in good order\n" {
		t.Errorf("the server ends with %v and says %q (%v)", err, said.String(), readErr)
	}
}

func TestServerAndClientAlone(t *testing.T) {
	s := startServer(t)
	want := []string{
		`^STUBS +unary +Create\(1,000 bytes\) +pid \d+ +TIME$`,
		`^STUBS +status +Kill\(nobody\) +NotFound .* +TIME$`,
	}
	for range 2 { // a server survives its clients
		out, err := command(t, "client", "-addr", s.addr, "unary", "status").CombinedOutput()
		if err != nil {
			t.Fatalf("the client ends with %v:\n%s", err, out)
		}
		checkLines(t, string(out), want, "google")
		checkLines(t, string(out), want, "gogo  ")
	}
	wantFailure(t, command(t, "client", "-addr", s.addr, "dance"), `no step "dance"`)
	out, err := command(t, "client", "-addr", s.addr, "-shutdown").CombinedOutput()
	if err != nil {
		t.Fatalf("the client ends with %v:\n%s", err, out)
	}
	s.wantGoodEnd(t)
	wantFailure(t, command(t, "client", "-addr", s.addr), "dial")
}

func TestInterruptedServer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows knows no signals between processes")
	}
	s := startServer(t)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wantGoodEnd(t)
}
