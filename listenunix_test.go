//go:build go1.25 && unix

package ttrpc_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/containerd/ttrpc"
)

// leave makes a socket file that nobody listens on, as a killed process leaves it.
func leave(t testing.TB, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	check(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	check(t, l.Close())
}

// bound makes a socket file whose socket does not listen yet.
func bound(t testing.TB, path string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	check(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	check(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestListenUnix(t *testing.T) {
	for name, prepare := range map[string]func(testing.TB, string){
		"nothing there": func(testing.TB, string) {},
		"a stale file":  leave,
	} {
		path := filepath.Join(shortTempDir(t), "s")
		prepare(t, path)
		l, err := ttrpc.ListenUnix(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := serve(t, l)
		wantEcho(t, r.client())
		check(t, r.Shutdown(bg))
		if isThere(path) {
			t.Errorf("%s: the file outlives its listener", name)
		}
	}
}

// What is not a stale socket is left alone, and the error says why.
func TestListenUnixRemovesNothingElse(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t testing.TB, path string)
		says string
	}{
		"a file":    {func(t testing.TB, path string) { check(t, os.WriteFile(path, []byte("kept"), 0o600)) }, "no socket"},
		"a folder":  {func(t testing.TB, path string) { check(t, os.Mkdir(path, 0o700)) }, "no socket"},
		"a pipe":    {func(t testing.TB, path string) { check(t, unix.Mkfifo(path, 0o600)) }, "no socket"},
		"a symlink": {func(t testing.TB, path string) { check(t, os.Symlink(path+".none", path)) }, "no socket"},
		"a symlink to a stale socket": {func(t testing.TB, path string) {
			leave(t, path+".stale")
			check(t, os.Symlink(path+".stale", path))
		}, "no socket"},
		"a datagram socket": {func(t testing.TB, path string) {
			conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			check(t, err)
			t.Cleanup(func() { conn.Close() })
		}, "another socket"},
		"one about to listen": {bound, "another socket"},
		"a server": {func(t testing.TB, path string) {
			l, err := net.Listen("unix", path)
			check(t, err)
			t.Cleanup(func() {
				// Nobody has connected to it to find out.
				check(t, l.(*net.UnixListener).SetDeadline(time.Unix(1, 0)))
				if conn, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it has been given a connection: %v, %v", conn, err)
				}
				l.Close()
			})
		}, "another socket"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(shortTempDir(t), "s")
			test.make(t, path)
			l, err := ttrpc.ListenUnix(path)
			if l != nil || !errors.Is(err, syscall.EADDRINUSE) {
				t.Fatalf("%v, %v", l, err)
			}
			if !strings.HasPrefix(err.Error(), "ttrpc: ") || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not say what is there", err)
			}
			if !isThere(path) {
				t.Error("it has been removed")
			}
		})
	}
}

func TestListenUnixErrors(t *testing.T) {
	dir := shortTempDir(t)
	for path, want := range map[string]struct {
		is   error
		says string
	}{
		"":                              {nil, "empty path"},
		filepath.Join(dir, "none", "s"): {fs.ErrNotExist, filepath.Join(dir, "none", "s")},
		dir + "/" + strings.Repeat("x", 99) + strings.Repeat("y", 99): {syscall.EINVAL, "bytes may be more"},
	} {
		l, err := ttrpc.ListenUnix(path)
		if l != nil || err == nil || want.is != nil && !errors.Is(err, want.is) ||
			!strings.HasPrefix(err.Error(), "ttrpc: ") || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%q: %v, %v", path, l, err)
		}
	}
}

// Several that find the same stale file at once get the socket, or are told that it is taken.
func TestListenUnixAtOnce(t *testing.T) {
	for range 20 {
		path := filepath.Join(shortTempDir(t), "s")
		leave(t, path)
		var all sync.WaitGroup
		listeners := make([]net.Listener, 4)
		errs := make([]error, len(listeners))
		for i := range listeners {
			all.Go(func() { listeners[i], errs[i] = ttrpc.ListenUnix(path) })
		}
		all.Wait()
		won := 0
		for i, l := range listeners {
			switch {
			case errs[i] == nil:
				won++
				l.Close()
			case !errors.Is(errs[i], syscall.EADDRINUSE):
				t.Error(errs[i])
			}
		}
		if won == 0 {
			t.Error("nobody listens:", errs)
		}
	}
}
