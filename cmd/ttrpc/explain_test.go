package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
)

// Each failure of a connection names the server, and says what it may mean.
func TestBroken(t *testing.T) {
	dir := tempDir(t)
	dialed := func(to string, err error) error {
		return fmt.Errorf("ttrpc: no connection to %s: %w (%w)", to, err, ttrpc.ErrClosed)
	}
	for _, c := range []struct {
		address string
		err     error
		want    string
	}{
		{"a.sock", ttrpc.ErrClosed, "a.sock has closed the connection without saying why; its log may tell"},
		{"a.sock", fmt.Errorf("%w: the server does not speak ttrpc", ttrpc.ErrClosed), "a.sock: the server does not speak ttrpc"},
		{"/a.sock", dialed("/a.sock", syscall.ENOENT), "no connection to /a.sock: no such file or directory (ttrpc: closed)"},
		{"a.B/C", dialed("a.B/C", syscall.ENOENT), "no connection to a.B/C: no such file or directory (ttrpc: closed) " +
			"(ADDRESS is the first argument; ttrpc -help has its forms)"},
		{"a.sock", dialed("a.sock", syscall.EACCES),
			"no connection to a.sock: permission denied (ttrpc: closed) (the socket is another user's: root may connect)"},
		{"a.sock", dialed("a.sock", syscall.ECONNREFUSED),
			"no connection to a.sock: connection refused (ttrpc: closed) (nobody listens there)"},
		{"unix://" + dir, dialed("unix://"+dir, syscall.ECONNREFUSED),
			"no connection to unix://" + dir + ": connection refused (ttrpc: closed) (that is no socket)"},
	} {
		p := &peer{address: c.address}
		err := p.broken(c.err)
		if got := p.broken(err).Error(); got != c.want || !isConnection(err) {
			t.Errorf("%v: got\n%s, want\n%s", c.err, got, c.want)
		}
	}
}

// A server that closes each connection is named by every command.
func TestServerHangsUp(t *testing.T) {
	dir := tempDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	for _, args := range [][]string{
		{"list"}, {"describe"}, {"describe", "a.B"}, {"call", "a.B/C"}, {"call", "containerd.task.v3.Task/State"}, {"call", "Task/State"},
		{"ping"}, {"health"}, {"health", "-watch"}, {"top"}, {"trace", "a.B/C"},
		{"proxy", "DIR/p.sock"},
	} {
		at := 1
		if args[0] == "proxy" {
			at = 2
		}
		args = append(append(append([]string{}, args[:at]...), "DIR/x.sock"), args[at:]...)
		got := runLine(t, dir, "", args...)
		if !strings.Contains(got, "DIR/x.sock") || !strings.HasSuffix(got, "exit code 2\n") {
			t.Errorf("%v: %s", args, got)
		}
	}
}

// A method that a server does not have is told by more than its name.
func TestAbsentMethod(t *testing.T) {
	dir := tempDir(t)
	refuse(t, filepath.Join(dir, "x.sock"), chatName, codes.Unimplemented, "no")
	proto := []string{"-I", "testdata", "-proto", "chat.proto"}
	checkLines(t, dir, []line{
		{name: "no such method there", args: append([]string{"call", "DIR/x.sock", "Chat/Greet"}, proto...)},
		{name: "no such stream there", args: append([]string{"call", "DIR/x.sock", "Chat/Count"}, proto...)},
	})
}

// What can't be printed is a failure, and ends what would go on.
func TestOutputFails(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	full := writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC })
	for _, args := range []string{
		"list SOCK", "describe SOCK", "describe SOCK test.chat.v1.Number", "call SOCK Chat/Greet", "call SOCK Chat/Count -d {\"to\":-1}",
		"call SOCK Chat/Greet -o bin", "call SOCK Chat/Greet -o events", "ping SOCK -n 0 -interval 1ms", "trace SOCK Chat/Greet",
		"completion bash", "call -help",
	} {
		var stderr strings.Builder
		code := run(t.Context(), strings.Fields(strings.ReplaceAll(args, "SOCK", dir+"/chat.sock")), stdio{strings.NewReader(""), full, &stderr})
		if want := "ttrpc: the standard output: no space left on device\n"; code != exitUsage || stderr.String() != want {
			t.Errorf("%s: exit code %d, %s", args, code, stderr.String())
		}
	}
}

// readerFunc is a function that is a Reader.
type readerFunc func(p []byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// Who waits for input can be interrupted.
func TestInterruptInput(t *testing.T) {
	dir := tempDir(t)
	startChat(t, dir, true)
	for _, args := range [][]string{
		{"call", "DIR/chat.sock", "Chat/Greet", "-d", "@-"}, {"call", "DIR/chat.sock", "Chat/Sum", "-d", "@-"}, {"decode"}, {"decode", "-hex"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		stdin := readerFunc(func([]byte) (int, error) {
			cancel()
			<-t.Context().Done()
			return 0, io.EOF
		})
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "DIR", dir)
		}
		var stderr strings.Builder
		if code := run(ctx, args, stdio{stdin, io.Discard, &stderr}); code != 65 || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%v: exit code %d, %s", args, code, stderr.String())
		}
	}
}
