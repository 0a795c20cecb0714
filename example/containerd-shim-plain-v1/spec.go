//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// processSpec is what counts here of the process in an OCI runtime spec.
type processSpec struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Cwd  string   `json:"cwd"`
	User struct {
		UID            uint32   `json:"uid"`
		GID            uint32   `json:"gid"`
		AdditionalGids []uint32 `json:"additionalGids"`
	} `json:"user"`
}

// readSpec reads the process of a bundle.
func readSpec(bundle string) (*processSpec, error) {
	data, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return nil, err
	}
	var config struct {
		Process *processSpec `json:"process"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("config.json of %s: %w", bundle, err)
	}
	if config.Process == nil {
		return nil, fmt.Errorf("config.json of %s has no process", bundle)
	}
	return config.Process, config.Process.check()
}

// parseSpec reads the process that Exec sends.
func parseSpec(data []byte) (*processSpec, error) {
	var spec processSpec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("the process's spec: %w", err)
	}
	return &spec, spec.check()
}

func (s *processSpec) check() error {
	if len(s.Args) == 0 {
		return fmt.Errorf("the process's spec has no args")
	}
	return nil
}

// fork starts the process in a session of its own, so that its group is its pid and can be ended as
// a whole. It has the user that it asks for; root alone can have another.
func (s *processSpec) fork(files [3]int) (pid int, err error) {
	path, err := s.lookPath()
	if err != nil {
		return 0, err
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	if int(s.User.UID) != os.Geteuid() || int(s.User.GID) != os.Getegid() {
		attr.Credential = &syscall.Credential{Uid: s.User.UID, Gid: s.User.GID, Groups: s.User.AdditionalGids}
	}
	pid, err = syscall.ForkExec(path, s.Args, &syscall.ProcAttr{
		Dir:   s.Cwd,
		Env:   s.Env,
		Files: []uintptr{uintptr(files[0]), uintptr(files[1]), uintptr(files[2])},
		Sys:   attr,
	})
	if err != nil {
		return 0, fmt.Errorf("can't start %s in %q: %w", path, s.Cwd, err)
	}
	return pid, nil
}

// lookPath finds the program in the PATH of the process, not in that of the shim.
func (s *processSpec) lookPath() (string, error) {
	name := s.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, v := range s.Env {
		if list, ok := strings.CutPrefix(v, "PATH="); ok {
			for _, dir := range filepath.SplitList(list) {
				path := filepath.Join(dir, name)
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
					return path, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s is not in the PATH of the process: %w", name, os.ErrNotExist)
}
