package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pkg/errors"
)

// endTime is how long a child that was told to end may take for it.
const endTime = 70 * time.Second

// child is this program once more, in a process of its own.
type child struct {
	name      string
	cancel    context.CancelFunc
	listening chan struct{} // closed when it has said that it listens
	ended     chan struct{} // closed when it has ended
	err       error         // its end; set before ended is closed
}

// startChild runs this program with other arguments; what it says goes to out, line by line.
func startChild(ctx context.Context, out io.Writer, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Wrap(err, "this program's own path")
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &child{name: args[0], cancel: cancel, listening: make(chan struct{}), ended: make(chan struct{})}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endTime
	// One writer for both, so that os/exec lets only one goroutine write to it.
	lines := &lineWriter{out: out, prefix: c.name + ": ", onLine: c.notice()}
	cmd.Stdout, cmd.Stderr = lines, lines
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, errors.Wrap(err, c.name)
	}
	go func() {
		c.err = errors.Wrap(cmd.Wait(), c.name)
		close(c.ended)
	}()
	return c, nil
}

// notice looks for the line that says that the child listens.
func (c *child) notice() func(line string) {
	found := sync.OnceFunc(func() { close(c.listening) })
	return func(line string) {
		if strings.HasPrefix(line, listening) {
			found()
		}
	}
}

func (c *child) waitListening() error {
	select {
	case <-c.listening:
		return nil
	case <-c.ended:
		return errors.Errorf("%s ended before it listened (%v)", c.name, c.err)
	}
}

func (c *child) wait() error {
	<-c.ended
	return c.err
}

// kill tells the child to end, if it hasn't, and waits for that.
func (c *child) kill() {
	c.cancel()
	<-c.ended
}
