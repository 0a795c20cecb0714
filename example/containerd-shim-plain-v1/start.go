//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"

	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// actionServe is the action of the process that stays. Only start runs it.
	actionServe = "serve"
	// listenerFD is where start leaves the listening socket for that process.
	listenerFD = 3
	// maxInput bounds what start reads, in bytes.
	maxInput = 10 << 20
	// addressFile in the bundle tells containerd 1.x, which may have restarted, and delete where the
	// shim listens.
	addressFile = "address"
	// Variables that containerd sets.
	envEvents     = "TTRPC_ADDRESS"
	envMaxVersion = "MAX_SHIM_VERSION" // containerd 1.7 to 2.2, which read JSON, and newer
)

// protocolTTRPC is what the shim speaks, as start tells it.
const protocolTTRPC = "ttrpc"

// answer is what start prints for containerd 1.7 to 2.2.
type answer struct {
	Version  int    `json:"version"` // of the task service
	Address  string `json:"address"`
	Protocol string `json:"protocol"`
}

// start listens, starts the process that serves, and tells containerd where. That process inherits
// the socket, so a client can connect before it has come so far.
func start(inv invocation, in io.Reader, out io.Writer) error {
	input, err := io.ReadAll(io.LimitReader(in, maxInput))
	if err != nil {
		return fmt.Errorf("can't read what containerd sends: %w", err)
	}
	params := parseParams(input, inv)
	l, err := listenIn(socketDir(params))
	if err != nil {
		return err
	}
	defer closeAny(l)
	address := "unix://" + l.Addr().String()
	err = os.WriteFile(addressFile, []byte(address), 0o600)
	if err == nil {
		err = spawn(inv, l, params.GetContainerdTtrpcAddress())
	}
	if err == nil {
		err = writeAnswer(out, address, params != nil)
	}
	if err != nil {
		os.Remove(l.Addr().String())
	}
	return err
}

// parseParams returns nil where input is not the BootstrapParams of containerd 2.3 and newer. The
// older ones send the options of the runtime, an Any, whose first field is a string as well.
func parseParams(input []byte, inv invocation) *bootstrap.BootstrapParams {
	var params bootstrap.BootstrapParams
	err := proto.Unmarshal(input, &params)
	if err != nil || params.GetInstanceID() != inv.id || params.GetNamespace() != inv.namespace {
		return nil
	}
	return &params
}

// writeAnswer answers as the containerd at hand understands it: the task service's version 3 came
// before BootstrapParams, but all that do not send these speak version 2.
func writeAnswer(out io.Writer, address string, bootstrapped bool) error {
	if bootstrapped {
		return printMessage(out, &bootstrap.BootstrapResult{Version: 3, Address: address, Protocol: protocolTTRPC})
	}
	if _, isJSON := os.LookupEnv(envMaxVersion); isJSON {
		return json.NewEncoder(out).Encode(answer{Version: 2, Address: address, Protocol: protocolTTRPC})
	}
	_, err := io.WriteString(out, address)
	return err
}

// socketDir is the folder for the socket, which only its owner may enter.
func socketDir(params *bootstrap.BootstrapParams) string {
	switch dir := params.GetSocketDir(); {
	case dir != "":
		return dir
	case os.Geteuid() == 0:
		return "/run/containerd/s"
	default:
		return filepath.Join(os.TempDir(), fmt.Sprintf("containerd-s-%d", os.Geteuid()))
	}
}

// listenIn returns a listener that leaves its file when it is closed. The name is short, for a
// socket's path has room for 107 bytes, and by chance: containerd gets it told.
func listenIn(dir string) (*net.UnixListener, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l, err := listen(filepath.Join(dir, fmt.Sprintf("plain-%016x", rand.Uint64())))
	if err != nil {
		return nil, err
	}
	unix := l.(*net.UnixListener)
	unix.SetUnlinkOnClose(false)
	return unix, nil
}

// closeAny closes what another process has its own hold of by then.
func closeAny(c io.Closer) { c.Close() }

// spawn starts the process that serves, in a session of its own: what ends containerd does not end
// the shim. It holds none of containerd's pipes, for containerd reads them to their end.
func spawn(inv invocation, l *net.UnixListener, events string) error {
	socket, err := l.File()
	if err != nil {
		return err
	}
	defer closeAny(socket)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer closeAny(null)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	env := os.Environ()
	if events != "" {
		env = append(env, envEvents+"="+events)
	}
	args := []string{self, "-namespace", inv.namespace, "-id", inv.id, actionServe}
	_, err = syscall.ForkExec(self, args, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), socket.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	return err
}
