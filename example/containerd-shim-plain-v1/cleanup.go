//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	status "github.com/containerd/containerd/api/types/task"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// processesFile in the bundle has the processes that run, for a shim that has died: the pid and the
// time of its start, one process a line, the container's first one at the top.
const processesFile = "processes"

// recordLocked writes that file. A process that is not in it would outlive a shim that dies.
func (s *service) recordLocked() {
	var lines strings.Builder
	for _, execID := range slices.Sorted(maps.Keys(s.processes)) {
		p := s.processes[execID]
		if p.status == status.Status_RUNNING {
			if began, ok := startTime(p.pid); ok {
				fmt.Fprintln(&lines, p.pid, began)
			}
		}
	}
	if err := os.WriteFile(processesFile, []byte(lines.String()), 0o600); err != nil {
		s.log.Warn("running processes are not recorded", "error", err)
	}
}

// startTime tells processes of the same pid apart. It is in ticks since the machine's start.
func startTime(pid int) (string, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	const afterName = 19 // proc(5): the 22nd field of all, of which the second may have spaces
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) <= afterName {
		return "", false
	}
	return fields[afterName], true
}

// cleanUp is the action delete: containerd has lost the shim, which has ended or has been killed.
// What it has left behind is ended and removed, and containerd is told of an end by SIGKILL.
func cleanUp(out io.Writer) error {
	resp := &task.DeleteResponse{ExitStatus: signaled(syscall.SIGKILL), ExitedAt: timestamppb.Now()}
	recorded, err := os.ReadFile(processesFile)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for line := range strings.Lines(string(recorded)) {
		number, began, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if now, ok := startTime(pid); err != nil || !ok || now != began {
			continue
		}
		if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("can't end process %d: %w", pid, err)
		}
		if resp.Pid == 0 {
			resp.Pid = uint32(pid)
		}
	}
	if address, err := os.ReadFile(addressFile); err == nil {
		os.Remove(strings.TrimPrefix(string(address), "unix://"))
	}
	return printMessage(out, resp)
}
