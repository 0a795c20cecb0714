//go:build linux

// Package drive starts a shim as containerd does, and calls it.
package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	taskv2 "github.com/containerd/containerd/api/runtime/task/v2"
	task "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Namespace is the containerd namespace that shims are started in.
const Namespace = "drive"

// Protocol is a generation of containerd, by how it starts shims.
type Protocol int

const (
	Bootstrap Protocol = iota // 2.3 and newer: BootstrapParams on stdin, BootstrapResult on stdout
	JSON                      // 1.7 to 2.2: maybe options on stdin, the answer in JSON
	Address                   // older: the answer is the address
)

// Config says what to start. All is required, but for Events.
type Config struct {
	Binary   string
	ID       string
	Bundle   string // of WriteBundle
	Sockets  string // a folder whose path is short
	Events   string // containerd's ttrpc address
	Protocol Protocol
}

// Shim is one that has been started. Its answer is what start has printed.
type Shim struct {
	Version  int                     `json:"version"`
	Address  string                  `json:"address"`
	Protocol string                  `json:"protocol"`
	Client   *ttrpc.Client           `json:"-"`
	V2       taskv2.TTRPCTaskService `json:"-"`
	V3       task.TTRPCTaskService   `json:"-"`
}

// Start runs the shim's action start, and makes a client of what it answers. The client connects
// with its first call; it is the caller's to close.
func Start(ctx context.Context, c Config) (*Shim, error) {
	input, err := c.input()
	if err != nil {
		return nil, err
	}
	out, err := c.run(ctx, input, "start")
	if err != nil {
		return nil, err
	}
	s, err := c.parse(out)
	if err != nil {
		return nil, err
	}
	s.Client, err = ttrpc.Dial(ctx, s.Address)
	if err != nil {
		return nil, err
	}
	s.V2, s.V3 = taskv2.NewTTRPCTaskClient(s.Client), task.NewTTRPCTaskClient(s.Client)
	return s, nil
}

// input is what containerd sends. The options of a runtime could be read as BootstrapParams.
func (c Config) input() ([]byte, error) {
	switch c.Protocol {
	case Bootstrap:
		return proto.Marshal(&bootstrap.BootstrapParams{
			InstanceID:             c.ID,
			Namespace:              Namespace,
			ContainerdTtrpcAddress: c.Events,
			SocketDir:              &c.Sockets,
		})
	case JSON:
		return proto.Marshal(&anypb.Any{TypeUrl: "plain.Options", Value: []byte(Namespace)})
	default:
		return nil, nil
	}
}

func (c Config) parse(out []byte) (*Shim, error) {
	s := &Shim{Version: 2, Address: string(out), Protocol: "ttrpc"}
	var err error
	switch c.Protocol {
	case Bootstrap:
		var result bootstrap.BootstrapResult
		err = proto.Unmarshal(out, &result)
		s = &Shim{Version: int(result.GetVersion()), Address: result.GetAddress(), Protocol: result.GetProtocol()}
	case JSON:
		err = json.Unmarshal(out, s)
	}
	if err != nil {
		return nil, fmt.Errorf("start printed %q: %w", out, err)
	}
	return s, nil
}

// Delete runs the shim's action delete, as for one that has died.
func Delete(ctx context.Context, c Config) (*task.DeleteResponse, error) {
	out, err := c.run(ctx, nil, "delete")
	if err != nil {
		return nil, err
	}
	var resp task.DeleteResponse
	return &resp, proto.Unmarshal(out, &resp)
}

// run runs the shim's program to its end. It reads what that prints to the end, as containerd does.
func (c Config) run(ctx context.Context, input []byte, action string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.Binary, "-namespace", Namespace, "-address", "", "-publish-binary", "",
		"-id", c.ID, action)
	cmd.Dir = c.Bundle
	cmd.Stdin = bytes.NewReader(input)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2", "TMPDIR="+c.Sockets)
	if c.Protocol != Bootstrap {
		cmd.Env = append(cmd.Env, "TTRPC_ADDRESS="+c.Events)
	}
	if c.Protocol != Address {
		cmd.Env = append(cmd.Env, "MAX_SHIM_VERSION=2")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd, err, bytes.TrimSpace(out))
	}
	return out, nil
}

// spec is a process in the form of config.json, with the caller's user.
func spec(args ...string) map[string]any {
	return map[string]any{
		"args": args,
		"env":  []string{"PATH=" + os.Getenv("PATH")},
		"cwd":  "/",
		"user": map[string]int{"uid": os.Geteuid(), "gid": os.Getegid()},
	}
}

// SpecJSON is the spec of a process as Exec sends it.
func SpecJSON(args ...string) []byte {
	data, err := json.Marshal(spec(args...))
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return data
}

// WriteBundle makes a bundle of a folder that exists.
func WriteBundle(dir string, args ...string) error {
	config, err := json.Marshal(map[string]any{"ociVersion": "1.2.0", "process": spec(args...)})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
}

// SocketPath is the file of the shim's socket.
func (s *Shim) SocketPath() string { return strings.TrimPrefix(s.Address, "unix://") }

// Run creates the container of the bundle and starts it, without streams.
func (s *Shim) Run(ctx context.Context, c Config) error {
	if _, err := s.V3.Create(ctx, &task.CreateTaskRequest{ID: c.ID, Bundle: c.Bundle}); err != nil {
		return err
	}
	if _, err := s.V3.Start(ctx, &task.StartRequest{ID: c.ID}); err != nil {
		return err
	}
	_, err := s.V3.State(ctx, &task.StateRequest{ID: c.ID})
	return err
}

// End kills the container, deletes it, and has the shim end.
func (s *Shim) End(ctx context.Context, c Config) error {
	const sigkill = 9
	if _, err := s.V3.Kill(ctx, &task.KillRequest{ID: c.ID, Signal: sigkill}); err != nil {
		return err
	}
	if _, err := s.V3.Wait(ctx, &task.WaitRequest{ID: c.ID}); err != nil {
		return err
	}
	if _, err := s.V3.Delete(ctx, &task.DeleteRequest{ID: c.ID}); err != nil {
		return err
	}
	_, err := s.V3.Shutdown(ctx, &task.ShutdownRequest{ID: c.ID})
	if errors.Is(err, ttrpc.ErrClosed) {
		return nil // the original's Server may close the connection before this answer is written
	}
	return err
}
