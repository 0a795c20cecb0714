package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pkg/errors"
)

// demoTime bounds the whole demo, which takes about a second.
const demoTime = 5 * time.Minute

// runDemo starts this program thrice more, as a server, its client, and a server that takes the
// first one's place, and shows what they say.
func runDemo(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "ttrpc-example-")
	if err != nil {
		return errors.Wrap(err, "temporary folder")
	}
	start := time.Now()
	err = runBoth(ctx, out, "unix://"+filepath.Join(dir, "tasks.sock"))
	if removeErr := os.RemoveAll(dir); err == nil {
		err = removeErr
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "demo:   all as it should be, after %v\n", time.Since(start).Round(time.Millisecond))
	return nil
}

// runBoth returns when all processes have ended. The client ends the server, finds another one in
// its place, and, in its last step, ends that as well.
func runBoth(ctx context.Context, out io.Writer, addr string) error {
	out = &lockedWriter{w: out}
	server, err := startChild(ctx, out, "server", "-addr", addr)
	if err != nil {
		return err
	}
	defer server.kill() // for the ways out on which nothing has ended it
	if err := server.waitListening(); err != nil {
		return err
	}
	client, err := startChild(ctx, out, "client", "-addr", addr, "-restart", "-shutdown")
	if err != nil {
		return err
	}
	defer client.kill()
	select {
	case <-client.ended: // too early
		return client.wait()
	case <-server.ended:
	}
	if err := server.wait(); err != nil {
		return err
	}
	next, err := startChild(ctx, out, "server", "-addr", addr)
	if err != nil {
		return err
	}
	defer next.kill()
	if err := client.wait(); err != nil {
		return err
	}
	return next.wait()
}

// lockedWriter lets both children's lines through one at a time.
type lockedWriter struct {
	mu sync.Mutex // guards writing to w
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// lineWriter passes whole lines on, each with a prefix. One goroutine writes to it.
type lineWriter struct {
	out    io.Writer
	prefix string
	onLine func(line string) // called after the line has been written
	rest   string            // the start of a line whose end hasn't come
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.rest += string(p)
	for {
		line, rest, whole := strings.Cut(l.rest, "\n")
		if !whole {
			return len(p), nil
		}
		l.rest = rest
		if _, err := fmt.Fprintf(l.out, "%s%s\n", l.prefix, line); err != nil {
			return 0, err
		}
		l.onLine(line)
	}
}
