package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc/bench/driver"
)

// bench is one run of the command.
type bench struct {
	dir      string // of the programs and sockets
	jobs     []job
	peers    []peer
	rounds   int
	budget   time.Duration // no round begins that would probably end later; 0 is no limit
	profile  string
	length   driver.Job
	started  time.Time // before anything was built
	began    time.Time // of the measurements
	progress *progress

	sockets  int                // so far
	values   map[cell][]float64 // by round
	packages map[string]float64 // by peer
}

// cell is one place in the table.
type cell struct{ job, key, peer string }

const (
	limit = 2 * time.Minute // for one job of one peer
	grace = 2 * time.Second // for a server to end once its client has
)

// build makes every program that the chosen jobs need.
func (b *bench) build(ctx context.Context) error {
	b.values, b.packages = map[cell][]float64{}, map[string]float64{}
	built := map[program]bool{}
	for _, j := range b.jobs {
		for _, p := range b.peers {
			for _, needed := range j.programs(p) {
				if built[needed] {
					continue
				}
				built[needed] = true
				b.progress.say("building %s %s", needed.module, needed.pkg)
				if err := needed.build(ctx, b.dir); err != nil {
					return err
				}
			}
			if err := b.prepare(ctx, j, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare does what only one job needs.
func (b *bench) prepare(ctx context.Context, j job, p peer) error {
	switch {
	case len(j.programs(p)) == 0:
	case j.workload == "shim":
		b.progress.say("building containerd's shim for %s", p.name)
		return buildShim(ctx, b.dir, p)
	case j.workload == "hello":
		n, err := p.hello.packages(ctx)
		b.packages[p.name] = float64(n)
		return err
	}
	return nil
}

// measure runs everything, round by round, and within a round each job on all peers in turn, so
// that what the machine does meanwhile hits them alike. What fails is reported and left out.
func (b *bench) measure(ctx context.Context) error {
	b.began = time.Now()
	var failed []error
	for round := 0; round < b.rounds; round++ { // may become fewer
		for i, j := range b.jobs {
			for k := range b.peers {
				p := b.peers[(k+round+i)%len(b.peers)] // who comes first changes
				b.tell(round, i, j, p)
				if err := b.one(ctx, j, p); err != nil {
					failed = append(failed, fmt.Errorf("round %d, %s of %s: %w", round+1, j.name, p.name, err))
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
		if b.outOfTime(round+1, time.Now()) {
			b.rounds = round + 1
		}
	}
	b.progress.done()
	return errors.Join(failed...)
}

// outOfTime says whether one more round like those done would go beyond the budget.
func (b *bench) outOfTime(done int, now time.Time) bool {
	perRound := now.Sub(b.began) / time.Duration(done)
	return b.budget > 0 && now.Sub(b.started)+perRound > b.budget
}

func (b *bench) tell(round, i int, j job, p peer) {
	done, all := round*len(b.jobs)+i, b.rounds*len(b.jobs)
	left := ""
	if done > 0 {
		elapsed := time.Since(b.began)
		left = ", left " + (elapsed * time.Duration(all-done) / time.Duration(done)).Round(time.Second).String()
	}
	b.progress.say("round %d of %d, %d %%%s: %s of %s", round+1, b.rounds, 100*done/all, left, j.name, p.name)
}

// one measures one job of one peer and keeps its values.
func (b *bench) one(ctx context.Context, j job, p peer) error {
	client, server, _ := j.pairing.pair(p)
	if len(j.programs(p)) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	started := b.startedBy(j, p)
	values, err := b.pair(ctx, j, client, server, started)
	if err != nil || len(values) == 0 {
		return err
	}
	if started != "" {
		info, err := os.Stat(started)
		if err != nil {
			return err
		}
		values["size"], values["packages"] = float64(info.Size())/(1<<20), b.packages[p.name]
	}
	b.keep(j, p, values)
	return nil
}

// keep notes a job's figures, of which a peer may lack some.
func (b *bench) keep(j job, p peer, values driver.Values) {
	for _, r := range j.rows {
		if v, ok := values[r.key]; ok {
			at := cell{j.name, r.key, p.name}
			b.values[at] = append(b.values[at], v)
		}
	}
}

// startedBy is the server's program where the client starts it.
func (b *bench) startedBy(j job, p peer) string {
	switch j.workload {
	case "hello":
		return p.hello.file(b.dir)
	case "shim":
		return shimFile(b.dir, p)
	}
	return ""
}

// pair starts the server, runs the client to its end, and stops the server.
func (b *bench) pair(ctx context.Context, j job, client, server program, started string) (values driver.Values, err error) {
	b.sockets++
	address := filepath.Join(b.dir, strconv.Itoa(b.sockets))
	var clientSaid, serverSaid strings.Builder // of interest only where something failed
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s%s", err, clientSaid.String(), serverSaid.String())
		}
	}()
	if started == "" {
		stop, err := b.startServer(ctx, j, server.file(b.dir), address, &serverSaid)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	task := b.length
	task.Workload, task.Hello = j.workload, started
	encoded, err := json.Marshal(task)
	if err != nil {
		return nil, err
	}
	cmd := b.command(ctx, j, client.file(b.dir), "client", address, string(encoded))
	cmd.Stderr = &clientSaid
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return values, json.Unmarshal(out, &values)
}

// startServer returns once the server listens. It ends by itself when the client's control
// connection does; stop waits for that.
func (b *bench) startServer(ctx context.Context, j job, file, address string, said *strings.Builder) (stop func(), err error) {
	cmd := b.command(ctx, j, file, "server", address)
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		kill := time.AfterFunc(grace, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how a server ends is of no interest
		kill.Stop()
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		stop()
		return nil, fmt.Errorf("the server did not start: %q, %w", line, err)
	}
	return stop, nil
}

func (b *bench) command(ctx context.Context, j job, file string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Env = os.Environ()
	if b.profile != "" {
		cmd.Env = append(cmd.Env, driver.ProfileEnv+"="+filepath.Join(b.profile, j.name+"-"+filepath.Base(file)+"-"+args[0]+".pprof"))
	}
	if j.oneProc {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	return cmd
}
