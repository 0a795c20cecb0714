//go:build unix && go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

var restarts = flag.Int("restarts", 8, "how often TestRedialAcrossRestarts restarts its server")

// restartServer has the folder of TestRestartServer.
const restartServer = "TTRPC_RESTART_SERVER"

// TestRestartServer is the server of TestRedialAcrossRestarts, and is run by it alone. It writes
// down each call that it begins. With SIGTERM it shuts down.
func TestRestartServer(t *testing.T) {
	dir := os.Getenv(restartServer)
	if dir == "" {
		t.Skip("it is run by another test")
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	begun, err := os.OpenFile(filepath.Join(dir, "begun"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(t, err)
	work := func(in string) (string, error) {
		_, err := begun.WriteString(in + "\n") // in one piece, by O_APPEND
		return in, err
	}
	socket := filepath.Join(dir, "s")
	l, err := ttrpc.ListenUnix(socket) // a server that was killed has left one
	check(t, err)
	s, err := ttrpc.NewServer()
	check(t, err)
	s.RegisterService(svc, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"work": unary(func(_ context.Context, in string) (string, error) { return work(in) })},
		Streams: map[string]ttrpc.Stream{"work stream": downStream(func(_ context.Context, ss ttrpc.StreamServer) error {
			in := new(message)
			if err := ss.RecvMsg(in); err != nil {
				return err
			}
			out, err := work(in.Value)
			return errors.Join(err, ss.SendMsg(text(out)))
		})},
	})
	go s.Serve(bg, l)
	<-terminated
	check(t, s.Shutdown(bg))
	os.Exit(0)
}

// restarted is what came of the calls of TestRedialAcrossRestarts.
type restarted struct {
	c     *ttrpc.Client
	ids   atomic.Int64
	kills atomic.Int64 // odd from a SIGKILL until the next server has answered
	ended atomic.Bool  // the test, also for a failure

	mu       sync.Mutex // guards all below
	changed  sync.Cond
	answered []string
	unknown  int // calls that failed and may have run
	unkilled int // of these, those during which no server was killed
	repeated int // streams that were refused, and opened again by the caller
}

// unary and stream make one call, and return what has come back.
func (r *restarted) unary(in string) (string, error) { return call(bg, r.c, "work", in) }

func (r *restarted) stream(in string) (string, error) {
	for {
		cs, err := r.c.NewStream(bg, down, svc, "work stream", text(in))
		if err != nil {
			return "", err
		}
		out, err := recvText(cs)
		if err == nil {
			if _, err = recvText(cs); err == io.EOF {
				return out, nil
			}
		}
		if !ttrpc.NotSent(err) {
			return "", err
		}
		r.mu.Lock()
		r.repeated++
		r.mu.Unlock()
	}
}

// calls makes calls until the test ends. A call that waits fails only where it may have run.
func (r *restarted) calls(t *testing.T, one func(string) (string, error)) {
	for !r.ended.Load() {
		id, kills := strconv.FormatInt(r.ids.Add(1), 10), r.kills.Load()
		out, err := one(id)
		if err == nil && out != id || err != nil && (ttrpc.NotSent(err) || !errors.Is(err, ttrpc.ErrClosed)) {
			t.Errorf("call %s: %q, %v", id, out, err)
			r.ended.Store(true)
		}
		r.count(id, err, kills)
	}
}

func (r *restarted) count(id string, err error, kills int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.changed.Broadcast()
	if err == nil {
		r.answered = append(r.answered, id)
		return
	}
	r.unknown++
	if r.kills.Load() == kills && kills%2 == 0 {
		r.unkilled++
	}
}

// await waits for that many further answers.
func (r *restarted) await(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n += len(r.answered); len(r.answered) < n && !r.ended.Load(); {
		r.changed.Wait()
	}
}

// end stops a server: by SIGTERM, or by SIGKILL.
func (r *restarted) end(t *testing.T, server *exec.Cmd, by os.Signal) {
	if by == syscall.SIGKILL {
		r.kills.Add(1)
	}
	check(t, server.Process.Signal(by))
	if err := server.Wait(); err != nil && by == syscall.SIGTERM {
		t.Error("the server:", err)
	}
}

// TestRedialAcrossRestarts restarts a server under load, by SIGTERM and by SIGKILL in turns: calls
// that wait are lost only if they were in flight when the server was killed, and none runs twice.
// `go test -run RedialAcross -restarts 100 -v .` tells how many there were.
func TestRedialAcrossRestarts(t *testing.T) {
	dir := shortTempDir(t)
	r := &restarted{}
	r.changed.L = &r.mu
	r.c = dialClient(t, "unix:"+filepath.Join(dir, "s"), ttrpc.WithWaitForReady(),
		ttrpc.WithBackoff(ttrpc.Backoff{Base: time.Millisecond, Max: 20 * time.Millisecond}))
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() { r.calls(t, []func(string) (string, error){r.unary, r.stream}[i%2]) })
	}
	for i := 0; i <= *restarts && !r.ended.Load(); i++ {
		server := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRestartServer$")
		server.Env = append(os.Environ(), restartServer+"="+dir)
		check(t, server.Start())
		r.await(100)
		if r.kills.Load()%2 == 1 {
			r.kills.Add(1)
			r.await(10)
		}
		if i == *restarts {
			r.ended.Store(true)
			callers.Wait()
		}
		r.end(t, server, []os.Signal{syscall.SIGTERM, syscall.SIGKILL}[i%2])
	}
	r.check(t, filepath.Join(dir, "begun"))
}

// check compares what callers know with what servers have begun.
func (r *restarted) check(t *testing.T, file string) {
	t.Helper()
	begun := map[string]int{}
	for _, id := range readLines(t, file) {
		begun[id]++
	}
	for id, n := range begun {
		if n > 1 {
			t.Errorf("call %s has run %d times", id, n)
		}
	}
	for _, id := range r.answered {
		if begun[id] != 1 {
			t.Errorf("call %s was answered, and has run %d times", id, begun[id])
		}
	}
	if r.unkilled > 0 { // a server that shuts down tells its client which calls it has not begun
		t.Errorf("%d calls failed that may have run, though no server was killed", r.unkilled)
	}
	t.Logf("%d restarts: %d calls answered; %d failed that may have run, %d of them without a kill; "+
		"%d refused streams opened again", *restarts, len(r.answered), r.unknown, r.unkilled, r.repeated)
}
