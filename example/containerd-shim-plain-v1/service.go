//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"github.com/containerd/containerd/api/events"
	task "github.com/containerd/containerd/api/runtime/task/v2"
	status "github.com/containerd/containerd/api/types/task"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	taskV2 = "containerd.task.v2.Task"
	taskV3 = "containerd.task.v3.Task"
)

var (
	errNotFound    = errors.New("not found")
	errExists      = errors.New("already exists")
	errFinished    = errors.New("already finished")
	errState       = errors.New("not in that state")
	errUnsupported = errors.New("plain processes do not have this")
)

// service is the task service, for one container.
type service struct {
	unsupported
	id     string // the container's
	events *publisher
	log    shimLog
	ended  chan struct{} // closed by Shutdown

	mu        sync.Mutex // guards what follows, and what changes in a process
	bundle    string
	processes map[string]*process // by exec id; the container's first has none
	isEnding  bool                // the first process has ended: none is started any more
	isEnded   bool
}

var _ task.TTRPCTaskService = (*service)(nil)

func newService(id string, events *publisher, log shimLog) *service {
	return &service{
		id: id, events: events, log: log,
		ended:     make(chan struct{}),
		processes: make(map[string]*process),
	}
}

// findLocked finds a process of the container.
func (s *service) findLocked(id, execID string) (*process, error) {
	if p := s.processes[execID]; p != nil && id == s.id {
		return p, nil
	}
	return nil, fmt.Errorf("container %s, process %q: %w", id, execID, errNotFound)
}

// addLocked adds a process that is not started.
func (s *service) addLocked(p *process) error {
	if s.processes[p.execID] != nil {
		return fmt.Errorf("%s: %w", p.name(), errExists)
	}
	s.processes[p.execID] = p
	return nil
}

func (s *service) Create(_ context.Context, req *task.CreateTaskRequest) (*task.CreateTaskResponse, error) {
	switch {
	case req.ID != s.id:
		return nil, wire(fmt.Errorf("container %s: this shim is for %s: %w", req.ID, s.id, errNotFound))
	case req.Terminal || req.Checkpoint != "" || len(req.Rootfs) != 0:
		return nil, wire(fmt.Errorf("a terminal, a checkpoint or a mounted rootfs: %w", errUnsupported))
	}
	spec, err := readSpec(req.Bundle)
	if err != nil {
		return nil, wire(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.addLocked(newProcess("", spec, stdio{req.Stdin, req.Stdout, req.Stderr})); err != nil {
		return nil, wire(err)
	}
	s.bundle = req.Bundle
	s.events.send("/tasks/create", &events.TaskCreate{
		ContainerID: s.id,
		Bundle:      req.Bundle,
		IO:          &events.TaskIO{Stdin: req.Stdin, Stdout: req.Stdout, Stderr: req.Stderr},
	})
	return &task.CreateTaskResponse{}, nil // the process has no pid before Start
}

func (s *service) Exec(_ context.Context, req *task.ExecProcessRequest) (*emptypb.Empty, error) {
	if req.Terminal {
		return nil, wire(fmt.Errorf("a terminal: %w", errUnsupported))
	}
	spec, err := parseSpec(req.GetSpec().GetValue())
	if err != nil {
		return nil, wire(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.findLocked(req.ID, ""); err != nil {
		return nil, wire(err)
	}
	if err := s.addLocked(newProcess(req.ExecID, spec, stdio{req.Stdin, req.Stdout, req.Stderr})); err != nil {
		return nil, wire(err)
	}
	s.events.send("/tasks/exec-added", &events.TaskExecAdded{ContainerID: s.id, ExecID: req.ExecID})
	return &emptypb.Empty{}, nil
}

// startableLocked finds a process that can be started.
func (s *service) startableLocked(id, execID string) (*process, error) {
	p, err := s.findLocked(id, execID)
	switch {
	case err != nil:
		return nil, err
	case p.status != status.Status_CREATED:
		return nil, fmt.Errorf("%s was started before: %w", p.name(), errState)
	case s.isEnding:
		return nil, fmt.Errorf("the container's process has ended: %w", errState)
	}
	return p, nil
}

// open opens the streams of a process that can be started. That may wait for the client, so the
// lock is not held meanwhile.
func (s *service) open(ctx context.Context, id, execID string) (*openStdio, error) {
	s.mu.Lock()
	p, err := s.startableLocked(id, execID)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.exited: // it was killed or deleted
			cancel()
		case <-ctx.Done():
		}
	}()
	return p.stdio.open(ctx)
}

func (s *service) Start(ctx context.Context, req *task.StartRequest) (*task.StartResponse, error) {
	io, err := s.open(ctx, req.ID, req.ExecID)
	if err != nil {
		return nil, wire(err)
	}
	defer io.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.startableLocked(req.ID, req.ExecID)
	if err == nil {
		err = p.startLocked(io)
	}
	if err != nil {
		return nil, wire(err)
	}
	s.recordLocked()
	pid := uint32(p.pid)
	if p.execID == "" {
		s.events.send("/tasks/start", &events.TaskStart{ContainerID: s.id, Pid: pid})
	} else {
		s.events.send("/tasks/exec-started", &events.TaskExecStarted{ContainerID: s.id, ExecID: p.execID, Pid: pid})
	}
	go s.reap(p)
	return &task.StartResponse{Pid: pid}, nil
}

// reap waits for the end of a process, and tells of it. containerd is told of the first one's end
// when it was told of all others'.
func (s *service) reap(p *process) {
	p.awaitEnd()
	if p.execID == "" {
		for _, other := range s.endOthers(p) {
			<-other.exited
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.collectLocked()
	s.recordLocked()
	id := p.execID
	if id == "" {
		id = s.id
	}
	s.events.send("/tasks/exit", &events.TaskExit{
		ContainerID: s.id, ID: id,
		Pid: uint32(p.pid), ExitStatus: p.exit, ExitedAt: timestamppb.New(p.exitedAt),
	})
}

// endOthers ends all processes but the first, which has ended, and what that has left behind in its
// group: there is no pid namespace that would see to it. It returns those that are about to end.
func (s *service) endOthers(first *process) []*process {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isEnding = true
	var ending []*process
	for _, p := range s.processes {
		if p.status == status.Status_RUNNING {
			_ = p.killLocked(syscall.SIGKILL, true) // it may have ended
			if p != first {
				ending = append(ending, p)
			}
		}
	}
	return ending
}

func (s *service) Wait(ctx context.Context, req *task.WaitRequest) (*task.WaitResponse, error) {
	s.mu.Lock()
	p, err := s.findLocked(req.ID, req.ExecID)
	s.mu.Unlock()
	if err != nil {
		return nil, wire(err)
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &task.WaitResponse{ExitStatus: p.exit, ExitedAt: timestamppb.New(p.exitedAt)}, nil
}

func (s *service) State(_ context.Context, req *task.StateRequest) (*task.StateResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findLocked(req.ID, req.ExecID)
	if err != nil {
		return nil, wire(err)
	}
	resp := &task.StateResponse{
		ID: s.id, Bundle: s.bundle, ExecID: p.execID,
		Pid: uint32(p.pid), Status: p.status,
		Stdin: p.stdio.in, Stdout: p.stdio.out, Stderr: p.stdio.err,
	}
	if p.status == status.Status_STOPPED {
		resp.ExitStatus, resp.ExitedAt = p.exit, timestamppb.New(p.exitedAt)
	}
	return resp, nil
}

func (s *service) Kill(_ context.Context, req *task.KillRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findLocked(req.ID, req.ExecID)
	if err == nil {
		err = p.killLocked(syscall.Signal(req.Signal), req.All)
	}
	return &emptypb.Empty{}, wire(err)
}

func (s *service) CloseIO(_ context.Context, req *task.CloseIORequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findLocked(req.ID, req.ExecID)
	if err == nil && req.Stdin {
		p.closeInputLocked()
	}
	return &emptypb.Empty{}, wire(err)
}

func (s *service) Delete(_ context.Context, req *task.DeleteRequest) (*task.DeleteResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findLocked(req.ID, req.ExecID)
	if err != nil {
		return nil, wire(err)
	}
	switch p.status {
	case status.Status_RUNNING:
		return nil, wire(fmt.Errorf("%s is running: %w", p.name(), errState))
	case status.Status_CREATED:
		p.stopLocked(0) // whoever waits for it learns of it
	}
	delete(s.processes, p.execID)
	resp := &task.DeleteResponse{Pid: uint32(p.pid), ExitStatus: p.exit, ExitedAt: timestamppb.New(p.exitedAt)}
	if p.execID == "" {
		s.events.send("/tasks/delete", &events.TaskDelete{
			ContainerID: s.id, Pid: resp.Pid, ExitStatus: resp.ExitStatus, ExitedAt: resp.ExitedAt,
		})
	}
	return resp, nil
}

func (s *service) Pids(_ context.Context, req *task.PidsRequest) (*task.PidsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.findLocked(req.ID, ""); err != nil {
		return nil, wire(err)
	}
	var resp task.PidsResponse
	for _, p := range s.processes {
		if p.status == status.Status_RUNNING {
			resp.Processes = append(resp.Processes, &status.ProcessInfo{Pid: uint32(p.pid)})
		}
	}
	return &resp, nil
}

// Connect is what containerd asks when it finds the shim again; a container that was not created
// has no pid, and is no error.
func (s *service) Connect(_ context.Context, _ *task.ConnectRequest) (*task.ConnectResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := &task.ConnectResponse{ShimPid: uint32(os.Getpid()), Version: version}
	if p := s.processes[""]; p != nil {
		resp.TaskPid = uint32(p.pid)
	}
	return resp, nil
}

// Shutdown ends the shim if it has nothing to do any more. Its own answer is still sent.
func (s *service) Shutdown(_ context.Context, _ *task.ShutdownRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.processes[""] == nil && !s.isEnded {
		s.isEnded = true
		close(s.ended)
	}
	return &emptypb.Empty{}, nil
}
