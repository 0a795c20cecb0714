package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// explain says of the failure of a call what was waited for, and whose connection it was.
func (p *peer) explain(err error, what string, limit time.Duration) error {
	return p.explainAs(err, "answered "+what, limit)
}

// explainAs is explain for what the server has not done.
func (p *peer) explainAs(err error, undone string, limit time.Duration) error {
	switch {
	case isConnection(err):
		return p.broken(err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %w", err)
	case !errors.Is(err, context.DeadlineExceeded):
		return err
	}
	if !p.connected.Load() {
		return connectionError{fmt.Errorf("no connection to %s within %v (-timeout): %w", p.address, limit, err)}
	}
	return fmt.Errorf("%s has not %s within %v (-timeout): %w", p.address, undone, limit, err)
}

// interrupted makes the end of the command's context, which its input fails with too, a status.
func interrupted(err error) error {
	var told statusError
	if errors.Is(err, context.Canceled) && !errors.As(err, &told) {
		return statusError{fmt.Errorf("interrupted: %w", context.Canceled), plainJSON}
	}
	return err
}

// worded is an error in other words.
type worded struct {
	error
	text string
}

func (w worded) Error() string { return w.text }
func (w worded) Unwrap() error { return w.error }

// broken says of a connection's failure whose connection it was, and what that may mean.
func (p *peer) broken(err error) error {
	var told connectionError
	if errors.As(err, &told) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "ttrpc: ")
	switch {
	case text == strings.TrimPrefix(ttrpc.ErrClosed.Error(), "ttrpc: "):
		text = p.address + " has closed the connection without saying why; its log may tell"
	case !strings.Contains(text, p.address):
		text = p.address + ": " + strings.TrimPrefix(text, "closed: ")
	}
	return connectionError{worded{err, text + p.advice(err)}}
}

// advice is what the system's error of an attempt to connect means.
func (p *peer) advice(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return " (the socket is another user's: root may connect)"
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(p.address, ":@") && strings.IndexAny(p.address, "/.") != 0:
		return " (ADDRESS is the first argument; ttrpc -help has its forms)"
	case errors.Is(err, syscall.ECONNREFUSED) && p.isNoSocket():
		return " (that is no socket)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return " (nobody listens there)"
	}
	return ""
}

// isNoSocket reports whether the address is the path of something else.
func (p *peer) isNoSocket() bool {
	info, err := os.Stat(strings.TrimPrefix(strings.TrimPrefix(p.address, "unix:"), "//"))
	return err == nil && info.Mode()&fs.ModeSocket == 0
}

// undescribed says of a search for a schema that has failed whether it has ended too early.
func (p *peer) undescribed(err error, limit time.Duration) error {
	var missing *schema.NotFoundError
	if p == nil || !errors.As(err, &missing) || missing.End == nil {
		return err
	}
	if errors.Is(missing.End, context.DeadlineExceeded) && p.connected.Load() {
		return callError(fmt.Errorf("%s has not told its types within %v: %w", p.address, limit, missing.End), plainJSON)
	}
	return callError(p.explain(missing.End, "", limit), plainJSON)
}

// source has the failures of the connection explained.
func (p *peer) source(s schema.Source) schema.Source {
	load := s.Load
	s.Load = func(ctx context.Context) (schema.Files, error) {
		files, err := load(ctx)
		if err != nil && isConnection(err) {
			err = p.broken(err)
		}
		return files, err
	}
	return s
}
