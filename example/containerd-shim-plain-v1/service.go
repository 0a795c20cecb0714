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

func (s *service) Start(_ context.Context, req *task.StartRequest) (*task.StartResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.findLocked(req.ID, req.ExecID)
	if err != nil {
		return nil, wire(err)
	}
	if p.status != status.Status_CREATED {
		return nil, wire(fmt.Errorf("%s was started before: %w", p.name(), errState))
	}
	if err := p.startLocked(); err != nil {
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

// reap waits for the end of a process. With the container's first one all others end, and what that
// has left behind in its group: there is no pid namespace that would see to it.
func (s *service) reap(p *process) {
	p.awaitEnd()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.execID == "" {
		for _, other := range s.processes {
			if other.status == status.Status_RUNNING {
				_ = other.killLocked(syscall.SIGKILL, true) // it may have ended
			}
		}
	}
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
	for i := range p.keep {
		p.closeLocked(i)
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
