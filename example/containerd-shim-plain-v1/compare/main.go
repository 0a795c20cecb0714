//go:build linux

// Command compare builds the shim twice, with this library and with a release of the original, and
// prints what each takes: the size of the stripped program, the time from its start to the answer
// to the first call, its memory with one container that runs, and memory and processor time after
// calls of State. It is run in a clone; the original comes from the module proxy. Figures are
// medians, and the two take turns.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v3"
	"golang.org/x/sys/unix"

	"github.com/containerd/ttrpc/example/containerd-shim-plain-v1/internal/drive"
)

const (
	library = "github.com/containerd/ttrpc"
	module  = library + "/example/containerd-shim-plain-v1"
)

// build is one of the two programs, and what has been measured of it: one figure for each round.
type build struct {
	name    string
	binary  string
	size    int64 // in bytes
	startUp []time.Duration
	memory  map[string][]int // in KiB, by its name in smaps_rollup
	threads []int
	later   []int           // private dirty memory after calls, in KiB
	cpu     []time.Duration // that calls took, each
}

// calls is how many calls of State each shim gets, one after the other.
const calls = 5000

// measured are the lines of /proc/PID/smaps_rollup that are printed.
var measured = []string{"Rss", "Private_Dirty"}

func main() {
	original := flag.String("original", "v1.2.8", "the release of the original to compare with")
	rounds := flag.Int("n", 20, "how often each is started")
	flag.Parse()
	if err := run(*original, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(original string, rounds int) error {
	if rounds < 1 {
		return fmt.Errorf("-n %d: there is no figure without a round", rounds)
	}
	dir, err := os.MkdirTemp("", "shims")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	builds := []*build{{name: "this library"}, {name: "original " + original}}
	if err := compile(dir, original, builds); err != nil {
		return err
	}
	for i := range rounds {
		for j := range builds {
			b := builds[(i+j)%len(builds)] // each is as often the first
			if err := b.round(dir); err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
		}
	}
	return report(builds)
}

// compile builds both without go.work, so that their dependencies have the same versions. The
// original's go.mod is the shim's own, but for the replacement.
func compile(dir, original string, builds []*build) error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("the shim's module is not found: run this in a clone: %w", err)
	}
	source := strings.TrimSpace(string(out))
	mod := filepath.Join(dir, "original.mod")
	for name, copied := range map[string]string{"go.mod": mod, "go.sum": filepath.Join(dir, "original.sum")} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err == nil {
			err = os.WriteFile(copied, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	if err := golang(source, "mod", "edit", "-replace", library+"="+library+"@"+original, mod); err != nil {
		return err
	}
	options := [][]string{nil, {"-modfile", mod, "-mod=mod", "-tags", "original"}}
	for i, b := range builds {
		b.binary, b.memory = filepath.Join(dir, fmt.Sprint("shim", i)), make(map[string][]int)
		args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", b.binary}, options[i]...)
		if err := golang(source, append(args, ".")...); err != nil {
			return err
		}
		if err := b.settle(); err != nil {
			return err
		}
	}
	return nil
}

// settle has the program written to the disk: pages of a file that is not would count as dirty.
func (b *build) settle() error {
	f, err := os.Open(b.binary)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b.size = info.Size()
	return f.Sync()
}

func golang(dir string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	return nil
}

// round starts a shim, has it run a container, looks at its memory, and ends both.
func (b *build) round(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bundle, err := os.MkdirTemp(dir, "bundle")
	if err != nil {
		return err
	}
	if err := drive.WriteBundle(bundle, "sleep", "1000000"); err != nil {
		return err
	}
	c := drive.Config{Binary: b.binary, ID: "compare", Bundle: bundle, Sockets: dir}
	began := time.Now()
	shim, err := drive.Start(ctx, c)
	if err != nil {
		return err
	}
	defer shim.Client.Close()
	answer, err := shim.V3.Connect(ctx, &task.ConnectRequest{ID: c.ID})
	if err != nil {
		return err
	}
	b.startUp = append(b.startUp, time.Since(began))
	if err := shim.Run(ctx, c); err != nil {
		return err
	}
	if err := b.look(int(answer.ShimPid)); err != nil {
		return err
	}
	if err := b.call(ctx, shim, c, int(answer.ShimPid)); err != nil {
		return err
	}
	ended, err := watch(int(answer.ShimPid))
	if err != nil {
		return err
	}
	if err := shim.End(ctx, c); err != nil {
		return err
	}
	return ended()
}

// watch returns a function that waits for the end of a process: another shim of the same program
// would share pages with the next one.
func watch(pid int) (ended func() error, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	return func() error {
		defer func() { _ = unix.Close(fd) }() // it was only waited for
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				return err
			}
		}
	}, nil
}

func (b *build) look(pid int) error {
	for _, name := range measured {
		n, err := procNumber(fmt.Sprintf("/proc/%d/smaps_rollup", pid), name)
		if err != nil {
			return err
		}
		b.memory[name] = append(b.memory[name], n)
	}
	n, err := procNumber(fmt.Sprintf("/proc/%d/status", pid), "Threads")
	b.threads = append(b.threads, n)
	return err
}

// call makes the calls, and looks at what they took.
func (b *build) call(ctx context.Context, shim *drive.Shim, c drive.Config, pid int) error {
	before, err := cpuTime(pid)
	if err != nil {
		return err
	}
	for range calls {
		if _, err := shim.V3.State(ctx, &task.StateRequest{ID: c.ID}); err != nil {
			return err
		}
	}
	after, err := cpuTime(pid)
	if err != nil {
		return err
	}
	b.cpu = append(b.cpu, (after-before)/calls)
	n, err := procNumber(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Private_Dirty")
	b.later = append(b.later, n)
	return err
}

// cpuTime is what all threads of a process have used.
func cpuTime(pid int) (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	var sum, one time.Duration
	for _, file := range threads {
		data, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		if _, err := fmt.Sscan(string(data), &one); err != nil { // the first number, in nanoseconds
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += one
	}
	return sum, nil
}

// procNumber reads a line "Name:   123 kB".
func procNumber(file, name string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			var n int
			_, err := fmt.Sscan(rest, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

func report(builds []*build) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprint(w, "\t")
	for _, b := range builds {
		fmt.Fprintf(w, " %s\t", b.name)
	}
	fmt.Fprintln(w)
	rows := []struct {
		name   string
		figure func(*build) float64
	}{
		{"stripped program, MiB", func(b *build) float64 { return float64(b.size) / (1 << 20) }},
		{"start to the first answer, ms", func(b *build) float64 { return float64(median(b.startUp)) / 1e6 }},
		{"resident (RSS), MiB", func(b *build) float64 { return mib(b.memory["Rss"]) }},
		{"of it private dirty, MiB", func(b *build) float64 { return mib(b.memory["Private_Dirty"]) }},
		{"threads", func(b *build) float64 { return float64(median(b.threads)) }},
		{fmt.Sprintf("private dirty after %d calls, MiB", calls), func(b *build) float64 { return mib(b.later) }},
		{"processor time for a call, µs", func(b *build) float64 { return float64(median(b.cpu)) / 1e3 }},
	}
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t", row.name)
		for _, b := range builds {
			fmt.Fprintf(w, " %.1f\t", row.figure(b))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func mib(kib []int) float64 { return float64(median(kib)) / (1 << 10) }

func median[T int | time.Duration](figures []T) T {
	slices.Sort(figures)
	return figures[len(figures)/2]
}
