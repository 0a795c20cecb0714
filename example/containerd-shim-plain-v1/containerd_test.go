//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envContainerd names a folder with the programs containerd and ctr.
const envContainerd = "CONTAINERD_BIN"

// A real containerd runs the shim: `.ci/run containerd` finds one and runs this test.
func TestContainerd(t *testing.T) {
	bin := os.Getenv(envContainerd)
	switch {
	case bin == "":
		t.Skip(envContainerd + " names no folder with containerd and ctr; .ci/run containerd finds one")
	case os.Geteuid() != 0:
		t.Skip("containerd runs as root alone")
	}
	d := newDaemon(t, bin)
	d.start()
	run := []string{"run", "--runtime", "io.containerd.plain.v1", "--rootfs"}

	t.Run("run", func(t *testing.T) {
		d.t = t
		out, code := d.ctr(append(run, "--rm", d.rootfs, "once", "/bin/sh", "-c", "echo hello; echo oops >&2; exit 5")...)
		if code != 5 || !strings.Contains(out, "hello\n") || !strings.Contains(out, "oops\n") {
			t.Fatalf("ctr run ends with %d: %s", code, out)
		}
		d.expect("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete")
	})
	t.Run("exec, restart, kill, delete", func(t *testing.T) {
		d.t = t
		d.must(append(run, "-d", d.rootfs, "long", "/bin/sleep", "1000000")...)
		d.expect("/tasks/create", "/tasks/start")
		out, code := d.ctr("task", "exec", "--exec-id", "e1", "long", "/bin/sh", "-c", "echo inside; exit 4")
		if code != 4 || !strings.Contains(out, "inside\n") {
			t.Fatalf("ctr task exec ends with %d: %s", code, out)
		}
		d.expect("/tasks/exec-added", "/tasks/exec-started", "/tasks/exit")

		d.stop()
		d.start()
		if out := d.must("task", "ls"); !strings.Contains(out, "RUNNING") {
			t.Errorf("the container has not survived containerd's restart: %s", out)
		}
		d.must("task", "kill", "--signal", "SIGTERM", "long")
		d.expect("/tasks/exit")
		if out := d.must("task", "delete", "long"); !strings.Contains(out, "exit code 143") {
			t.Errorf("the container's exit status is not SIGTERM's: %s", out)
		}
		d.expect("/tasks/delete")
		d.must("container", "delete", "long")
	})
}

// daemon is a containerd with folders of its own.
type daemon struct {
	t       *testing.T
	ctx     context.Context // ends when the test has taken far too long, and not before clear
	bin     string
	dir     string
	rootfs  string // an empty folder: ctr wants one, and the shim does not use it
	topics  chan string
	process *exec.Cmd
}

func newDaemon(t *testing.T, bin string) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctd") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // longer than t.Context()
	t.Cleanup(cancel)
	d := &daemon{t: t, ctx: ctx, bin: bin, dir: dir, rootfs: filepath.Join(dir, "rootfs")}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, program)) // TestMain makes it the shim
	}
	if err == nil {
		err = os.Mkdir(d.rootfs, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.toml"), fmt.Appendf(nil, daemonConfig, dir), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	t.Cleanup(func() {
		d.t = t // not that of a part
		d.clear()
	})
	return d
}

// daemonConfig has the version that containerd 1.6 to 2 read.
const daemonConfig = `version = 2
root = "%[1]s/root"
state = "%[1]s/state"
temp = "%[1]s/temp"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
	"io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
[grpc]
address = "%[1]s/c.sock"
[ttrpc]
address = "%[1]s/c.sock.ttrpc"
`

// start returns when containerd is ready, which it tells as it would systemd.
func (d *daemon) start() {
	d.t.Helper()
	notify := filepath.Join(d.dir, "notify")
	os.Remove(notify)
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	d.check(err)
	defer ready.Close()
	d.process = exec.Command(filepath.Join(d.bin, "containerd"), "--config", filepath.Join(d.dir, "config.toml"),
		"--log-level", "trace")
	d.process.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify, "PATH="+d.dir+":"+os.Getenv("PATH"))
	stderr, err := d.process.StderrPipe()
	d.check(err)
	d.check(d.process.Start())
	d.topics = make(chan string, 64)
	log, err := os.Create(filepath.Join(d.dir, "log"))
	d.check(err)
	go func() {
		defer log.Close()
		defer ready.Close() // containerd has ended: the read below fails
		d.follow(io.TeeReader(stderr, log), d.topics)
	}()
	if _, err := ready.Read(make([]byte, 64)); err != nil {
		text, _ := os.ReadFile(log.Name())
		d.t.Fatalf("containerd did not start: %v: %s", err, text)
	}
}

// follow finds the events that containerd has got from shims in its log.
func (d *daemon) follow(r io.Reader, topics chan<- string) {
	defer close(topics)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), `topic=/tasks/`); ok && strings.Contains(lines.Text(), "event forwarded") {
			topic, _, _ := strings.Cut(rest, " ")
			topics <- "/tasks/" + topic
		}
	}
}

// expect waits for events of these topics, in that order.
func (d *daemon) expect(topics ...string) {
	d.t.Helper()
	for _, want := range topics {
		select {
		case got := <-d.topics:
			if got != want {
				d.t.Fatalf("containerd has got an event %q, want %q", got, want)
			}
		case <-d.ctx.Done():
			d.t.Fatalf("containerd has got no event %q", want)
		}
	}
}

// stop ends containerd and leaves its shims alone.
func (d *daemon) stop() {
	if d.process == nil {
		return
	}
	_ = d.process.Process.Signal(syscall.SIGTERM) // it may have ended
	for range d.topics {
	}
	_ = d.process.Wait() // by the signal
	d.process = nil
}

// clear ends what a test that has failed leaves behind: shims outlive containerd.
func (d *daemon) clear() {
	if d.process == nil {
		d.start()
	}
	for _, id := range []string{"once", "long"} {
		d.ctr("task", "delete", "--force", id) // it fails where the test has done so
	}
}

func (d *daemon) ctr(args ...string) (out string, code int) {
	d.t.Helper()
	cmd := exec.CommandContext(d.ctx, filepath.Join(d.bin, "ctr"),
		append([]string{"--address", filepath.Join(d.dir, "c.sock")}, args...)...)
	data, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return string(data), cmd.ProcessState.ExitCode()
}

func (d *daemon) must(args ...string) string {
	d.t.Helper()
	out, code := d.ctr(args...)
	if code != 0 {
		log, _ := os.ReadFile(filepath.Join(d.dir, "log"))
		d.t.Fatalf("ctr %q ends with %d: %s\n%s", args, code, out, log)
	}
	return out
}

func (d *daemon) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}
