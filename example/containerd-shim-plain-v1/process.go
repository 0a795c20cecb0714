//go:build linux

package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/containerd/containerd/api/types/task"
	"golang.org/x/sys/unix"
)

// process is the container's first process, or one that Exec has added. The service's lock guards
// what changes.
type process struct {
	execID string // empty for the first process
	spec   *processSpec
	stdio  stdio

	pid      int // 0 until it is started
	input    int // a writing end of its standard input; noFD without one
	status   task.Status
	exit     uint32 // as a shell tells it, once it is stopped
	exitedAt time.Time
	exited   chan struct{} // closed when it is stopped, whether it has run or not
}

func newProcess(execID string, spec *processSpec, io stdio) *process {
	return &process{
		execID: execID,
		spec:   spec,
		stdio:  io,
		input:  noFD,
		status: task.Status_CREATED,
		exited: make(chan struct{}),
	}
}

// startLocked runs the process with the streams that are open, and keeps what it needs of them. It
// can be tried again when it fails.
func (p *process) startLocked(io *openStdio) error {
	pid, err := p.spec.fork(io.files)
	if err != nil {
		return err
	}
	p.pid, p.input, p.status = pid, io.input, task.Status_RUNNING
	io.input = noFD
	return nil
}

// awaitEnd returns when the process has ended and its pid is still its own: nobody else can have
// the pid until collectLocked.
func (p *process) awaitEnd() {
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// collectLocked takes the exit status of a process that has ended.
func (p *process) collectLocked() {
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(p.pid, &ws, 0, nil); err != syscall.EINTR {
			break
		}
	}
	exit := uint32(ws.ExitStatus())
	if ws.Signaled() {
		exit = signaled(ws.Signal())
	}
	p.stopLocked(exit)
}

func signaled(sig syscall.Signal) uint32 { return 128 + uint32(sig) }

func (p *process) stopLocked(exit uint32) {
	p.closeInputLocked()
	p.status, p.exit, p.exitedAt = task.Status_STOPPED, exit, time.Now()
	close(p.exited)
}

// closeInputLocked lets the process see the end of its input when the client has closed it too.
func (p *process) closeInputLocked() {
	closeAll(p.input)
	p.input = noFD
}

// killLocked signals the process, or all of its group. One that was not started ends at once.
func (p *process) killLocked(sig syscall.Signal, group bool) error {
	target := p.pid
	switch {
	case p.status == task.Status_CREATED:
		p.stopLocked(signaled(sig))
		return nil
	case p.status != task.Status_RUNNING:
		return fmt.Errorf("%s: %w", p.name(), errFinished)
	case group:
		target = -target
	}
	if err := syscall.Kill(target, sig); err != nil {
		return fmt.Errorf("can't send signal %d to %s: %w", sig, p.name(), err)
	}
	return nil
}

func (p *process) name() string {
	if p.execID == "" {
		return "the container's process"
	}
	return "process " + p.execID
}
