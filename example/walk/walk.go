// Package walk is the example's client: it walks through what a ttrpc client can meet, once with
// the stubs of google.golang.org/protobuf and once with gogo's, over one connection.
package walk

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/pkg/errors"

	"github.com/containerd/ttrpc/example/shim"
)

// patience is the deadline of every step that is not about deadlines. No step needs more than a
// second.
const patience = 2 * time.Minute

// Config says what to walk through.
type Config struct {
	Out      io.Writer // a line for each call
	Steps    []string  // names of steps; empty is all but shutdown
	Shutdown bool      // ask the server to end, as the last step
	Restart  string    // the address, if another server comes there once the server was asked to end
}

type step struct {
	name string
	run  func(*walker, context.Context) error
}

// These end the server, so they are taken once only.
var (
	restartStep = step{"restart", (*walker).restart}
	lastStep    = step{"shutdown", (*walker).shutdownInFlight}
)

var allSteps = []step{
	{"credentials", (*walker).credentials},
	{"unary", (*walker).unary},
	{"metadata", (*walker).metadata},
	{"server-stream", (*walker).serverStream},
	{"client-stream", (*walker).clientStream},
	{"both-streams", (*walker).bothStreams},
	{"paused", (*walker).paused},
	{"status", (*walker).statusDetails},
	{"deadline", (*walker).deadline},
	{"cancel", (*walker).cancelled},
	{"oversized", (*walker).oversized},
}

// StepNames are the names that Config.Steps may hold.
func StepNames() []string {
	var names []string
	for _, s := range allSteps {
		names = append(names, s.name)
	}
	return names
}

// walker takes the steps with one kind of stubs.
type walker struct {
	stubs
	kind  string
	out   io.Writer
	conn  *ttrpc.Client
	taken string // the name of the step that is being taken
}

// Dial connects to an address such as unix:///run/tasks.sock.
func Dial(ctx context.Context, address string) (*ttrpc.Client, error) {
	path, err := shim.SocketPath(address)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, errors.Wrap(err, "dial")
	}
	return ttrpc.NewClient(conn), nil
}

// Run takes the steps over c and stops at the first that goes wrong. The caller closes c.
func Run(ctx context.Context, c *ttrpc.Client, config Config) error {
	steps, err := choose(config.Steps)
	if err != nil {
		return err
	}
	google := &walker{stubs: newGoogleStubs(c), kind: "google", out: config.Out, conn: c}
	gogo := &walker{stubs: newGogoStubs(c), kind: "gogo", out: config.Out, conn: c}
	for _, s := range steps {
		for _, w := range []*walker{google, gogo} {
			if err := w.take(ctx, s); err != nil {
				return err
			}
		}
	}
	if config.Restart != "" {
		if google, err = restarted(ctx, config); err != nil {
			return err
		}
		defer google.conn.Close()
	}
	if config.Shutdown {
		return google.take(ctx, lastStep)
	}
	return nil
}

func choose(names []string) ([]step, error) {
	if len(names) == 0 {
		return allSteps, nil
	}
	var steps []step
	for _, name := range names {
		i := slices.IndexFunc(allSteps, func(s step) bool { return s.name == name })
		if i < 0 {
			return nil, errors.Errorf("no step %q; there are %s", name, strings.Join(StepNames(), ", "))
		}
		steps = append(steps, allSteps[i])
	}
	return steps, nil
}

func (w *walker) take(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.taken = s.name
	return errors.Wrapf(s.run(w, ctx), "step %s with %s stubs", s.name, w.kind)
}

// line runs a call and prints what was called, what came back and how long it took.
func (w *walker) line(call string, run func() (came string, err error)) error {
	start := time.Now()
	came, err := run()
	took := time.Since(start).Round(time.Microsecond)
	if err != nil {
		came = "FAILED: " + err.Error()
	}
	fmt.Fprintf(w.out, "%-6s  %-13s  %-34s  %-56s  %9v\n", w.kind, w.taken, call, came, took)
	return err
}

// id names a task of this step and process, so that clients do not meet.
func (w *walker) id() string { return fmt.Sprintf("%s-%s-%d", w.kind, w.taken, os.Getpid()) }

// withTask runs a step's calls while there is a task that lives until the step ends.
func (w *walker) withTask(ctx context.Context, calls func(id string) error) error {
	id := w.id()
	if _, err := w.create(ctx, id, 0, nil); err != nil {
		return errors.Wrap(err, "create")
	}
	if err := calls(id); err != nil {
		_ = w.kill(ctx, id)
		return err
	}
	return errors.Wrap(w.kill(ctx, id), "kill")
}
