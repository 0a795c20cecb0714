package peer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Server is a running peer in server mode.
type Server struct {
	Release Release
	Addr    string
	Forms   string // of messages that it has, by commas
	cmd     *exec.Cmd
	stdin   io.Closer // its end ends the server
	stderr  *tail
}

// Start runs a server and waits until it listens.
func Start(ctx context.Context, r Release, bin, dir string) (*Server, error) {
	s := &Server{Release: r, Addr: filepath.Join(dir, r.Name+".sock"), stderr: &tail{}}
	s.cmd = exec.CommandContext(ctx, bin, "server", "-addr", s.Addr)
	s.cmd.Stderr = s.stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(bufio.NewReader(stdout), new(string), &s.Forms); err != nil {
		s.Stop()
		return nil, fmt.Errorf("server of %s: %w\n%s", r.Name, err, s.stderr)
	}
	return s, nil
}

// Stop ends the server and says how it ended.
func (s *Server) Stop() error {
	s.stdin.Close()
	return s.Wait()
}

// Wait waits until the server has ended, and says how.
func (s *Server) Wait() error {
	defer s.stdin.Close()
	defer os.Remove(s.Addr)
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("server of %s: %w\n%s", s.Release.Name, err, s.stderr)
	}
	return nil
}

// A Result is what a client saw of one scenario.
type Result struct {
	Scenario, Want, Got string
}

// clientPatience bounds one run of a client through all scenarios.
const clientPatience = 5 * time.Minute

// RunClient runs a client of one release through all scenarios against a server of another.
// A client that crashes is started again behind the scenario that did it.
func RunClient(ctx context.Context, bin string, s *Server) ([]Result, error) {
	return runClient(ctx, bin, s, s.Addr, nil)
}

// RunRecorded runs a client through a Recorder at addr, without the scenarios whose names begin
// with one of skip. The last scenario shuts the server down.
func RunRecorded(ctx context.Context, bin string, s *Server, addr string, skip ...string) ([]Result, error) {
	return runClient(ctx, bin, s, addr, skip, "-recorded")
}

func runClient(ctx context.Context, bin string, s *Server, addr string, skip []string, flags ...string) ([]Result, error) {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	if !s.Release.Streams {
		skip = append(skip, "stream/")
	}
	args := append([]string{"client", "-addr", addr, "-forms", s.Forms, "-skip", strings.Join(skip, ",")}, flags...)
	var all []Result
	for {
		got, crashed, err := runOnce(ctx, bin, append(args, "-from", fmt.Sprint(len(all))))
		all = append(all, got...)
		if err != nil || !crashed {
			return all, err
		}
	}
}

// runOnce runs a client once. A crash is no error: it is what the last scenario got.
func runOnce(ctx context.Context, bin string, args []string) (results []Result, crashed bool, err error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	stderr := &tail{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, false, err
	}
	defer stdin.Close()
	out, failed := cmd.Output()
	results, err = parseResults(out)
	if err != nil {
		return results, false, err
	}
	if line := stderr.panicLine(); line != "" && len(results) > 0 {
		results[len(results)-1].Got = line
		return results, true, nil
	}
	if failed != nil {
		failed = fmt.Errorf("%s %q: %w\n%s", filepath.Base(bin), args, failed, stderr)
	}
	return results, false, failed
}

// parseResults reads what a client prints: each scenario twice, unless it ended in a crash.
func parseResults(out []byte) ([]Result, error) {
	var results []Result
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); {
		var r Result
		if err := lines.Decode(&r); err != nil {
			return results, err
		}
		if last := len(results) - 1; last >= 0 && results[last].Scenario == r.Scenario {
			results[last] = r
		} else {
			results = append(results, r)
		}
	}
	return results, nil
}

// tail keeps the end of a process's output.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if extra := len(t.b) - 16<<10; extra > 0 {
		t.b = t.b[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b) }

// panicLine returns the line that says why the process crashed, if it did.
func (t *tail) panicLine() string {
	for line := range strings.Lines(string(t.b)) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
