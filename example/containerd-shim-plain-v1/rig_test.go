//go:build linux

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v3"
	events "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/containerd/ttrpc/example/containerd-shim-plain-v1/internal/drive"
)

// TestMain has the tests' own program be the shim as well. So nothing has to be built, and the shim
// has the race detector when the tests have it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-namespace" || os.Args[1] == "-info") {
		main()
		return
	}
	os.Exit(m.Run())
}

const containerID = "c1"

// containerd is the part of it that shims call: the events service.
type containerd struct {
	t      *testing.T
	path   string
	server *ttrpc.Server
	events chan string // each as "topic process"
}

func newContainerd(t *testing.T, path string) *containerd {
	t.Helper()
	c := &containerd{t: t, path: path, events: make(chan string, 32)}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if c.server, err = ttrpc.NewServer(); err != nil {
		t.Fatal(err)
	}
	events.RegisterTTRPCEventsService(c.server, c)
	go c.server.Serve(context.Background(), l)
	t.Cleanup(c.close)
	return c
}

func (c *containerd) close() { c.server.Close() }

// Forward notes an event, and its process if it has one.
func (c *containerd) Forward(_ context.Context, req *events.ForwardRequest) (*emptypb.Empty, error) {
	e := req.GetEnvelope()
	note := e.GetTopic()
	event, err := (&anypb.Any{TypeUrl: "/" + e.GetEvent().GetTypeUrl(), Value: e.GetEvent().GetValue()}).UnmarshalNew()
	if err != nil || e.GetNamespace() != drive.Namespace {
		note += " (broken)"
	}
	switch e := event.(type) {
	case interface{ GetExecID() string }:
		note += " " + e.GetExecID()
	case interface{ GetID() string }:
		note += " " + e.GetID()
	}
	c.events <- note
	return &emptypb.Empty{}, nil
}

// expect waits for events, in that order.
func (c *containerd) expect(ctx context.Context, want ...string) {
	c.t.Helper()
	for _, w := range want {
		select {
		case got := <-c.events:
			if strings.TrimSpace(got) != w {
				c.t.Fatalf("event %q, want %q", got, w)
			}
		case <-ctx.Done():
			c.t.Fatalf("no event %q", w)
		}
	}
}

// patience is for what happens at once, or never: a test that waits in vain still clears up.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// rig is a shim that runs, and who would be containerd.
type rig struct {
	*drive.Shim
	t          *testing.T
	config     drive.Config
	containerd *containerd
	ctx        context.Context
}

func newRig(t *testing.T, protocol drive.Protocol, args ...string) *rig {
	t.Helper()
	sockets, err := os.MkdirTemp("", "shim") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	bundle := t.TempDir()
	if err := drive.WriteBundle(bundle, args...); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := newContainerd(t, filepath.Join(sockets, "events"))
	r := &rig{t: t, containerd: c, ctx: patience(t), config: drive.Config{
		Binary: self, ID: containerID, Bundle: bundle, Sockets: sockets, Events: c.path, Protocol: protocol,
	}}
	if r.Shim, err = drive.Start(r.ctx, r.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.clear(r.pid()) })
	return r
}

// clear ends what a test that has failed leaves behind.
func (r *rig) clear(pid int) {
	r.Client.Close()
	if pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if _, err := drive.Delete(context.Background(), r.config); err != nil {
		r.t.Error(err)
	}
}

// pid is the shim's, or 0 when it has ended.
func (r *rig) pid() int {
	resp, err := r.V3.Connect(context.Background(), &task.ConnectRequest{ID: containerID})
	if err != nil {
		return 0
	}
	return int(resp.ShimPid)
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// create creates the container, whose streams are fifos that the test reads.
func (r *rig) create(req *task.CreateTaskRequest) {
	r.t.Helper()
	req.ID, req.Bundle = containerID, r.config.Bundle
	_, err := r.V3.Create(r.ctx, req)
	r.must(err)
}

func (r *rig) start(execID string) int {
	r.t.Helper()
	resp, err := r.V3.Start(r.ctx, &task.StartRequest{ID: containerID, ExecID: execID})
	r.must(err)
	return int(resp.Pid)
}

func (r *rig) expectExit(execID string, want uint32) {
	r.t.Helper()
	resp, err := r.V3.Wait(r.ctx, &task.WaitRequest{ID: containerID, ExecID: execID})
	r.must(err)
	if resp.ExitStatus != want {
		r.t.Fatalf("process %q: exit status %d, want %d", execID, resp.ExitStatus, want)
	}
}

// end has containerd see the container off.
func (r *rig) end() {
	r.t.Helper()
	_, err := r.V3.Delete(r.ctx, &task.DeleteRequest{ID: containerID})
	r.must(err)
	ended := r.watch(r.pid())
	_, err = r.V3.Shutdown(r.ctx, &task.ShutdownRequest{ID: containerID})
	r.must(err)
	ended()
	if _, err := os.Lstat(r.SocketPath()); !os.IsNotExist(err) {
		r.t.Errorf("the socket is left behind: %v", err)
	}
}

// watch returns a function that waits for the end of a process that is no child.
func (r *rig) watch(pid int) func() {
	r.t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	r.must(err)
	return func() {
		defer unix.Close(fd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				r.must(err)
				return
			}
		}
	}
}

func (r *rig) fifo(name string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	r.must(unix.Mkfifo(path, 0o600))
	return path
}

func expectCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%v has code %v, want %v", err, got, want)
	}
}

func execRequest(t *testing.T, execID string, args ...string) *task.ExecProcessRequest {
	t.Helper()
	return &task.ExecProcessRequest{ID: containerID, ExecID: execID, Spec: &anypb.Any{
		TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", Value: drive.SpecJSON(args...),
	}}
}
