package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ShimClient calls Connect of containerd's task service, which tells the shim's process id, of a
// container that there may not be.
type ShimClient interface {
	ConnectShim(ctx context.Context) (pid int, err error)
}

// shim starts containerd's shim by hand a few times, and then measures one of them: what it holds
// after one call, how it answers, and what it holds afterwards.
func (r *running) shim() (values Values, err error) {
	var starts []float64
	for i := range 11 {
		s, took, err := r.startShim(i)
		if err != nil {
			return nil, err
		}
		starts = append(starts, took)
		if i == 10 {
			values, err = s.measure(r)
		}
		if err := errors.Join(err, s.stop()); err != nil {
			return nil, err
		}
	}
	values["start"] = median(starts)
	return values, nil
}

type shim struct {
	cmd    *exec.Cmd
	client Client
	dir    string
	log    *os.File
}

// logFIFO makes what the shim writes its log to, and opens it, for nobody else reads there.
func logFIFO(name string) (*os.File, error) {
	if err := syscall.Mkfifo(name, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

// startShim starts the shim's server as its start command does, on a socket that it inherits. It
// returns when the first call has been answered.
func (r *running) startShim(n int) (s *shim, milliseconds float64, err error) {
	s = &shim{dir: r.address + "." + strconv.Itoa(n)}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, 0, err
	}
	if s.log, err = logFIFO(filepath.Join(s.dir, "log")); err != nil {
		return nil, 0, err
	}
	socket := filepath.Join(s.dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, 0, err
	}
	inherited, err := l.File()
	if err != nil {
		return nil, 0, err
	}
	l.SetUnlinkOnClose(false)
	s.cmd = exec.Command(r.Hello, "-namespace", "bench", "-id", "bench", "-address", filepath.Join(s.dir, "none"))
	s.cmd.Dir, s.cmd.ExtraFiles, s.cmd.Env = s.dir, []*os.File{inherited}, append(os.Environ(), "GOMAXPROCS=4")
	s.cmd.Stderr = os.Stderr
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, 0, err
	}
	_ = errors.Join(inherited.Close(), l.Close()) // whoever calls a shim that has ended shall not wait
	if s.client, err = r.peer.Dial(socket); err == nil {
		err = s.connect(background)
	}
	if err != nil {
		return nil, 0, errors.Join(err, s.stop())
	}
	return s, time.Since(began).Seconds() * 1000, nil
}

// connect makes one call. The answer is the shim's if it tells the process id.
func (s *shim) connect(ctx context.Context) error {
	c, ok := s.client.(ShimClient)
	if !ok {
		return ErrUnsupported
	}
	pid, err := c.ConnectShim(ctx)
	if err == nil && pid != s.cmd.Process.Pid {
		err = fmt.Errorf("the shim says that it is process %d, not %d", pid, s.cmd.Process.Pid)
	}
	return err
}

func (s *shim) measure(r *running) (Values, error) {
	values := Values{}
	var err error
	if values["rss"], err = s.memory("Rss"); err != nil {
		return nil, err
	}
	for name, callers := range map[string]int{"": 1, "16": 16} {
		o, err := load{callers: callers, call: s.connect, warm: r.Warm, measure: r.Measure}.run(s)
		if err != nil {
			return nil, err
		}
		values["p50"+name], values["rate"+name] = o.percentile(50), o.perSecond()
		values["cpu"+name] = microseconds(o.used.server.CPU) / float64(len(o.latencies))
	}
	values["dirty"], err = s.memory("Private_Dirty")
	return values, err
}

// memory is in MiB.
func (s *shim) memory(name string) (float64, error) {
	kib, err := readProc(s.proc("smaps_rollup"), name)
	return kib / 1024, err
}

func (s *shim) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), file)
}

// both tells the shim's processor time alone: nobody in its process can be asked.
func (s *shim) both(question) (c counted, err error) {
	threads, err := filepath.Glob(s.proc("task/*/schedstat"))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			return c, err
		}
		spent, _, _ := strings.Cut(string(text), " ") // in nanoseconds
		n, err := strconv.ParseInt(spent, 10, 64)
		if err != nil {
			return c, err
		}
		c.server.CPU += time.Duration(n)
	}
	return c, err
}

func (s *shim) stop() error {
	if s.client != nil {
		_ = s.client.Close()
	}
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
	_ = s.log.Close()
	return err
}
