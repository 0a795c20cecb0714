// Command poke runs an old shim, whose stubs are gogo's, as containerd would: it takes its events, and leads a
// task through its life. The runtime below the shim is a script that starts a sleep, so that nothing is needed but the shim.
//
//	poke SHIM
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/containerd/containerd/api/events" // the types of events, for typeurl
	events "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/runtime/v2/runc/options"
	task "github.com/containerd/containerd/runtime/v2/task"
	"github.com/containerd/ttrpc"
	"github.com/containerd/typeurl"
	"github.com/gogo/protobuf/types"
	"google.golang.org/grpc/status"
)

const runc = `#!/bin/bash
# create starts the task, once; kill kills it; what else is asked for has happened.
cd "$(dirname "$0")"
args=("$@")
for i in "${!args[@]}"; do
	[ "${args[i]}" = --pid-file ] && pidfile=${args[i+1]}
done
case " $* " in
*" create "*)
	[ ! -e pid ] || { echo "exists already" >&2; exit 1; }
	sleep 1000 </dev/null >/dev/null 2>&1 &
	echo -n $! | tee pid >"$pidfile";;
*" kill "*) kill -KILL "$(cat pid)";;
esac
`

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "poke:", err)
		os.Exit(1)
	}
}

func run(shim string) error {
	bundle, err := os.MkdirTemp("", "bundle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bundle)
	log, err := prepare(bundle)
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	topics, err := serveEvents(ctx, filepath.Join(bundle, "events"))
	if err != nil {
		return err
	}
	conn, err := start(ctx, shim, bundle)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	client := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() { close(closed) }))
	defer client.Close()
	service, id := task.NewTaskClient(client), filepath.Base(bundle)
	connected, err := service.Connect(ctx, &task.ConnectRequest{ID: id})
	if err != nil {
		return err
	}
	if err := live(ctx, service, id, bundle, topics); err != nil {
		return errors.Join(err, syscall.Kill(int(connected.ShimPid), syscall.SIGKILL))
	}
	select {
	case <-closed:
		fmt.Println("the shim has closed the connection")
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare writes what a shim needs to find, and reads its log so that it is not held up.
func prepare(bundle string) (io.Closer, error) {
	spec, err := json.Marshal(map[string]any{"ociVersion": "1.0.2", "root": map[string]any{"path": "rootfs"}})
	if err != nil {
		return nil, err
	}
	fifo := filepath.Join(bundle, "log")
	err = errors.Join(
		os.WriteFile(filepath.Join(bundle, "config.json"), spec, 0o644),
		os.WriteFile(filepath.Join(bundle, "runc"), []byte(runc), 0o755),
		os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755),
		syscall.Mkfifo(fifo, 0o600),
	)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	out := io.Discard
	if os.Getenv("POKE_LOG") != "" {
		out = os.Stderr
	}
	go io.Copy(out, log)
	return log, nil
}

type sink chan string

func (s sink) Forward(ctx context.Context, req *events.ForwardRequest) (*types.Empty, error) {
	event, err := typeurl.UnmarshalAny(req.Envelope.Event)
	if err != nil {
		return nil, err
	}
	s <- fmt.Sprintf("%s %T", req.Envelope.Topic, event)
	return &types.Empty{}, nil
}

func serveEvents(ctx context.Context, path string) (sink, error) {
	l, err := net.Listen("unix", path+".ttrpc")
	if err != nil {
		return nil, err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return nil, err
	}
	s := make(sink, 16)
	events.RegisterEventsService(server, s)
	go server.Serve(ctx, l)
	return s, nil
}

func start(ctx context.Context, shim, bundle string) (net.Conn, error) {
	address := filepath.Join(bundle, "events")
	cmd := exec.CommandContext(ctx, shim, "-namespace", "poke", "-id", filepath.Base(bundle), "-address", address, "start")
	cmd.Dir, cmd.Stderr = bundle, os.Stderr
	cmd.Env = append(os.Environ(), "TTRPC_ADDRESS="+address+".ttrpc")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return net.Dial("unix", strings.TrimPrefix(strings.TrimSpace(string(out)), "unix://"))
}

func live(ctx context.Context, shim task.TaskService, id, bundle string, topics sink) error {
	say := func(what string, err error) {
		fmt.Printf("%s: %v %s\n", what, status.Code(err), strings.ReplaceAll(status.Convert(err).Message(), id, "ID"))
	}
	event := func() error {
		select {
		case e := <-topics:
			fmt.Println("event", e)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := shim.State(ctx, &task.StateRequest{ID: id})
	say("State before Create", err)
	opts, err := typeurl.MarshalAny(&options.Options{BinaryName: filepath.Join(bundle, "runc"), Root: filepath.Join(bundle, "root")})
	if err != nil {
		return err
	}
	created, err := shim.Create(ctx, &task.CreateTaskRequest{ID: id, Bundle: bundle, Options: opts})
	say("Create", err)
	fmt.Println("a pid came:", created != nil && created.Pid > 1)
	if err := event(); err != nil {
		return err
	}
	_, err = shim.Create(ctx, &task.CreateTaskRequest{ID: id, Bundle: bundle, Stdin: strings.Repeat("x", 1<<20), Options: opts})
	fmt.Println("Create again fails:", err != nil)
	_, err = shim.Start(ctx, &task.StartRequest{ID: id})
	say("Start", err)
	if err := event(); err != nil {
		return err
	}
	state, err := shim.State(ctx, &task.StateRequest{ID: id})
	say("State", err)
	if err == nil {
		fmt.Println("status:", state.Status, "pid as before:", state.Pid == created.Pid)
	}
	_, err = shim.Exec(ctx, &task.ExecProcessRequest{ID: "none", ExecID: "x"})
	say("Exec in another", err)
	waitCtx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	_, err = shim.Wait(waitCtx, &task.WaitRequest{ID: id})
	cancel()
	fmt.Println("Wait with a deadline:", err)
	_, err = shim.Kill(ctx, &task.KillRequest{ID: id, Signal: 9})
	say("Kill", err)
	if err := event(); err != nil {
		return err
	}
	waited, err := shim.Wait(ctx, &task.WaitRequest{ID: id})
	say("Wait", err)
	fmt.Println("exit status is 137:", waited != nil && waited.ExitStatus == 137)
	_, err = shim.Delete(ctx, &task.DeleteRequest{ID: id})
	say("Delete", err)
	if err := event(); err != nil {
		return err
	}
	_, err = shim.Shutdown(ctx, &task.ShutdownRequest{ID: id})
	if err != nil && !errors.Is(err, ttrpc.ErrClosed) {
		say("Shutdown", err)
	}
	return nil
}
