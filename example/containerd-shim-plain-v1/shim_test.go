//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	taskv2 "github.com/containerd/containerd/api/runtime/task/v2"
	task "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types"
	status "github.com/containerd/containerd/api/types/task"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/example/containerd-shim-plain-v1/internal/drive"
)

// The whole life of a container, by each way of starting a shim.
func TestLife(t *testing.T) {
	for name, c := range map[string]struct {
		protocol drive.Protocol
		version  int
	}{
		"containerd 2.3": {drive.Bootstrap, 3},
		"containerd 1.7": {drive.JSON, 2},
		"containerd 1.6": {drive.Address, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if c.protocol != drive.Bootstrap && os.Geteuid() == 0 {
				t.Cleanup(func() { os.Remove("/run/containerd/s") }) // if nobody else uses it
			}
			r := newRig(t, c.protocol, "sleep", "1000000")
			if r.Version != c.version || r.Protocol != "ttrpc" {
				t.Errorf("start answers with version %d of %s, want %d of ttrpc", r.Version, r.Protocol, c.version)
			}
			life(r)
		})
	}
}

func life(r *rig) {
	expect := func(want status.Status) {
		r.t.Helper()
		resp, err := r.V2.State(r.ctx, &taskv2.StateRequest{ID: containerID})
		r.must(err)
		if resp.Status != want || resp.Bundle != r.config.Bundle {
			r.t.Fatalf("the state is %v, want %v of %s", resp, want, r.config.Bundle)
		}
	}
	r.create(&task.CreateTaskRequest{})
	expect(status.Status_CREATED)
	pid := r.start("")
	expect(status.Status_RUNNING)
	pids, err := r.V3.Pids(r.ctx, &task.PidsRequest{ID: containerID})
	r.must(err)
	if len(pids.Processes) != 1 || int(pids.Processes[0].Pid) != pid {
		r.t.Fatalf("Pids finds %v, want %d", pids, pid)
	}
	_, err = r.V2.Kill(r.ctx, &taskv2.KillRequest{ID: containerID, Signal: uint32(syscall.SIGTERM)})
	r.must(err)
	r.expectExit("", 128+15)
	expect(status.Status_STOPPED)
	_, err = r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9})
	expectCode(r.t, err, codes.NotFound)
	r.end()
	r.containerd.expect(r.ctx, "/tasks/create", "/tasks/start", "/tasks/exit "+containerID, "/tasks/delete")
}

// A process reads what comes until the client has closed its input, and says so by CloseIO.
func TestStdio(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sh", "-c", "cat; echo oops >&2; exit 3")
	in, out, errs := r.fifo("in"), r.fifo("out"), r.fifo("err")
	read := func(path string) chan string {
		c := make(chan string, 1)
		go func() {
			data, err := os.ReadFile(path)
			if err != nil {
				data = []byte(err.Error())
			}
			c <- string(data)
		}()
		return c
	}
	gotOut, gotErr := read(out), read(errs)
	r.create(&task.CreateTaskRequest{Stdin: in, Stdout: out, Stderr: errs})
	r.start("")
	for _, line := range []string{"one\n", "two\n"} { // two clients, one after the other
		r.must(os.WriteFile(in, []byte(line), 0))
	}
	_, err := r.V3.CloseIO(r.ctx, &task.CloseIORequest{ID: containerID, Stdin: true})
	r.must(err)
	r.expectExit("", 3)
	if got := <-gotOut; got != "one\ntwo\n" {
		t.Errorf("standard output is %q", got)
	}
	if got := <-gotErr; got != "oops\n" {
		t.Errorf("standard error is %q", got)
	}
	r.end()
}

func TestExec(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sleep", "1000000")
	r.create(&task.CreateTaskRequest{})
	r.start("")
	r.containerd.expect(r.ctx, "/tasks/create", "/tasks/start")
	add := func(execID string, args ...string) {
		t.Helper()
		_, err := r.V3.Exec(r.ctx, execRequest(t, execID, args...))
		r.must(err)
		r.containerd.expect(r.ctx, "/tasks/exec-added "+execID)
	}
	add("e1", "sh", "-c", "exit 7")
	r.start("e1")
	r.expectExit("e1", 7)
	r.containerd.expect(r.ctx, "/tasks/exec-started e1", "/tasks/exit e1")
	_, err := r.V3.Exec(r.ctx, execRequest(t, "e1", "true"))
	expectCode(t, err, codes.AlreadyExists)
	_, err = r.V3.Delete(r.ctx, &task.DeleteRequest{ID: containerID, ExecID: "e1"})
	r.must(err)

	add("e2", "no-such-program")
	_, err = r.V3.Start(r.ctx, &task.StartRequest{ID: containerID, ExecID: "e2"})
	expectCode(t, err, codes.Unknown)
	_, err = r.V3.Delete(r.ctx, &task.DeleteRequest{ID: containerID, ExecID: "e2"})
	r.must(err)

	// The end of the first process is the end of all, and containerd learns of it last.
	add("e3", "sleep", "1000000")
	add("e4", "true")
	r.start("e3")
	_, err = r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: uint32(syscall.SIGINT)})
	r.must(err)
	r.expectExit("", 128+2)
	r.expectExit("e3", 128+9)
	r.containerd.expect(r.ctx, "/tasks/exec-started e3", "/tasks/exit e3", "/tasks/exit "+containerID)
	_, err = r.V3.Start(r.ctx, &task.StartRequest{ID: containerID, ExecID: "e4"})
	expectCode(t, err, codes.FailedPrecondition)
	r.end()
}

// A process starts when its outputs have a reader: ctr gives up a fifo that it has not opened when
// the process has ended, and what a brief process has written.
func TestUnreadOutput(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sh", "-c", "echo hello")
	r.create(&task.CreateTaskRequest{Stdout: r.fifo("out")})
	brief, cancel := context.WithTimeout(r.ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := r.V3.Start(brief, &task.StartRequest{ID: containerID}); err == nil {
		t.Error("a process is started whose output nobody reads")
	}
	_, err := r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9})
	r.must(err)
	r.expectExit("", 128+9)
	r.end()
}

// A process that waits for a reader of its outputs can be killed.
func TestUnreadOutputKilled(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "true")
	r.create(&task.CreateTaskRequest{Stdout: r.fifo("out"), Stderr: r.fifo("err")})
	started := make(chan error, 1)
	go func() {
		_, err := r.V3.Start(r.ctx, &task.StartRequest{ID: containerID})
		started <- err
	}()
	_, err := r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9})
	r.must(err)
	r.expectExit("", 128+9)
	if err := <-started; err == nil {
		t.Error("Start starts a process that was killed before")
	}
	r.end()
}

// A process has its three streams, and no file that the shim was started with.
func TestInheritedFile(t *testing.T) {
	const leaked = 100
	null, err := os.Open(os.DevNull)
	if err == nil {
		_, err = unix.FcntlInt(null.Fd(), unix.F_DUPFD, leaked) // without FD_CLOEXEC
	}
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	defer unix.Close(leaked)
	r := newRig(t, drive.Bootstrap, "sleep", "1000000")
	r.create(&task.CreateTaskRequest{})
	pid := r.start("")
	if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, leaked)); !os.IsNotExist(err) {
		t.Errorf("the process has a file of the shim's: %v", err)
	}
	_, err = r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9})
	r.must(err)
	r.expectExit("", 128+9)
	r.end()
}

func TestRefused(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sleep", "1000000")
	for _, req := range []*task.CreateTaskRequest{
		{ID: containerID, Terminal: true},
		{ID: containerID, Rootfs: []*types.Mount{{Type: "overlay"}}},
	} {
		_, err := r.V3.Create(r.ctx, req)
		expectCode(t, err, codes.Unimplemented)
	}
	_, err := r.V3.Create(r.ctx, &task.CreateTaskRequest{ID: "other", Bundle: r.config.Bundle})
	expectCode(t, err, codes.NotFound)
	_, err = r.V3.Wait(r.ctx, &task.WaitRequest{ID: containerID})
	expectCode(t, err, codes.NotFound)

	r.create(&task.CreateTaskRequest{})
	_, err = r.V3.Create(r.ctx, &task.CreateTaskRequest{ID: containerID, Bundle: r.config.Bundle})
	expectCode(t, err, codes.AlreadyExists)
	_, err = r.V3.Pause(r.ctx, &task.PauseRequest{ID: containerID})
	expectCode(t, err, codes.Unimplemented)
	_, err = r.V3.Exec(r.ctx, &task.ExecProcessRequest{
		ID: containerID, ExecID: "binary", Stdout: "binary:///bin/cat", Spec: execRequest(t, "", "true").Spec,
	})
	r.must(err)
	_, err = r.V3.Start(r.ctx, &task.StartRequest{ID: containerID, ExecID: "binary"})
	expectCode(t, err, codes.Unimplemented)
	r.start("")
	_, err = r.V3.Start(r.ctx, &task.StartRequest{ID: containerID})
	expectCode(t, err, codes.FailedPrecondition)
	_, err = r.V3.Delete(r.ctx, &task.DeleteRequest{ID: containerID})
	expectCode(t, err, codes.FailedPrecondition)

	// A shim that has a container does not end.
	_, err = r.V3.Shutdown(r.ctx, &task.ShutdownRequest{ID: containerID})
	r.must(err)
	_, err = r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9, All: true})
	r.must(err)
	r.expectExit("", 128+9)
	r.end()
}

// A container that is killed before it was started ends.
func TestNeverStarted(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sleep", "1000000")
	r.create(&task.CreateTaskRequest{})
	_, err := r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9})
	r.must(err)
	r.expectExit("", 128+9)
	r.end()
}

// After the shim has died, its action delete ends the processes and removes the socket.
func TestDeadShim(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sh", "-c", "echo up; sleep 1000000 & wait")
	out := r.fifo("out")
	f, err := os.OpenFile(out, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	r.must(err)
	defer f.Close()
	deadline, _ := r.ctx.Deadline()
	r.must(f.SetReadDeadline(deadline))
	r.create(&task.CreateTaskRequest{Stdout: out})
	pid := r.start("")
	lines := bufio.NewReader(f)
	if line, err := lines.ReadString('\n'); line != "up\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	shim := r.pid()
	ended := r.watch(shim)
	r.must(syscall.Kill(shim, syscall.SIGKILL))
	ended()
	resp, err := drive.Delete(r.ctx, r.config)
	r.must(err)
	if int(resp.Pid) != pid || resp.ExitStatus != 128+9 {
		t.Errorf("delete says %v, want process %d killed", resp, pid)
	}
	// All that have the fifo are gone.
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
		t.Errorf("the process goes on: %q, %v", rest, err)
	}
	if _, err := os.Lstat(r.SocketPath()); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// A shim outlives containerd, and its events reach the next one.
func TestEventsAfterRestart(t *testing.T) {
	r := newRig(t, drive.Bootstrap, "sleep", "1000000")
	r.create(&task.CreateTaskRequest{})
	r.containerd.expect(r.ctx, "/tasks/create")
	r.containerd.close()
	r.containerd = newContainerd(t, r.containerd.path)
	r.start("")
	r.containerd.expect(r.ctx, "/tasks/start")
	_, err := r.V3.Kill(r.ctx, &task.KillRequest{ID: containerID, Signal: 9})
	r.must(err)
	r.expectExit("", 128+9)
	r.end()
	r.containerd.expect(r.ctx, "/tasks/exit "+containerID, "/tasks/delete")
}

// What containerd asks before it starts a shim with certain options.
func TestInfo(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(self, "-info").Output()
	var info types.RuntimeInfo
	if err == nil {
		err = proto.Unmarshal(out, &info)
	}
	if err != nil || info.GetName() != "io.containerd.plain.v1" {
		t.Errorf("-info prints %q, %v", out, err)
	}
}
