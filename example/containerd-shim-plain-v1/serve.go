//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// farewell is how long a shim that ends waits: for its answers to be read, and for its events.
const farewell = 5 * time.Second

// serve is the shim: it answers containerd until that calls Shutdown.
func serve(inv invocation) error {
	debug.SetGCPercent(40)
	// Processes get no file that whoever has started containerd has left open.
	if err := unix.CloseRange(listenerFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("can't keep open files from processes: %w", err)
	}
	l, err := net.FileListener(os.NewFile(listenerFD, "listener"))
	if err != nil {
		return fmt.Errorf("no socket was handed over: %w", err)
	}
	defer os.Remove(l.Addr().String())
	log := openLog()
	events := newPublisher(inv.namespace, os.Getenv(envEvents), log)
	svc := newService(inv.id, events, log)
	srv, err := ttrpc.NewServer(append(serverOptions(log),
		ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()))...)
	if err != nil {
		return err
	}
	task.RegisterTTRPCTaskService(srv, svc)
	registerV3(srv, svc)

	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(context.Background(), l) }()
	select {
	case err := <-failed:
		return err
	case <-svc.ended:
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	err = srv.Shutdown(ctx)
	events.close(ctx)
	return err
}

// shimLog writes lines that containerd copies into its own log. A slog.Logger would do for ttrpc as
// well; this one keeps log/slog out of the program.
type shimLog struct{ w io.Writer }

// openLog opens the bundle's fifo, whose other end containerd holds. It is no standard stream,
// because Go ends a program whose standard error has nobody who reads it.
func openLog() shimLog {
	f, err := os.OpenFile("log", os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return shimLog{io.Discard}
	}
	return shimLog{f}
}

// Warn is what ttrpc's Logger asks for.
func (l shimLog) Warn(msg string, args ...any) {
	fmt.Fprintln(l.w, append([]any{program + ":", msg}, args...)...)
}
