// Command bench measures this project beside other RPC implementations, each as a server process
// and a client process on one unix socket, and prints one table.
//
//	go run ./bench [-quick] [-only JOBS] [-peers PEERS] [-rounds N] [-json FILE] [-list]
//
// README.md says what each row measures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/ttrpc/bench/driver"
)

type options struct {
	only, peers   string
	rounds        int
	json, profile string
	quick, list   bool
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "*", "the jobs to run: names or patterns, separated by commas")
	flag.StringVar(&o.peers, "peers", "*", "the peers to run, likewise")
	flag.IntVar(&o.rounds, "rounds", 0, "how often everything is measured (default 5, with -quick 3)")
	flag.StringVar(&o.json, "json", "", "also write every value to this file (- is standard output, in place of the table)")
	flag.StringVar(&o.profile, "profile", "", "a folder for CPU profiles of every process")
	flag.BoolVar(&o.quick, "quick", false, "shorter runs: less than five minutes in all")
	flag.BoolVar(&o.list, "list", false, "print the names of jobs and peers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.list {
		list()
		return nil
	}
	jobs, err := chooseJobs(o.only)
	if err != nil {
		return err
	}
	peers, err := choose(allPeers, o.peers, func(p peer) string { return p.name })
	if err != nil {
		return err
	}
	profile, err := o.profileDir()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ttrpc-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, jobs: jobs, peers: peers, rounds: o.roundsOrDefault(), profile: profile, progress: newProgress(), length: o.length()}
	b.started, b.budget = time.Now(), o.budget()
	if err := b.build(ctx); err != nil {
		return err
	}
	failed := b.measure(ctx)
	return errors.Join(b.report(os.Stdout, o.json, time.Since(b.started)), failed)
}

func (o options) roundsOrDefault() int {
	switch {
	case o.rounds > 0:
		return o.rounds
	case o.quick:
		return 3
	}
	return 5
}

// budget keeps a quick run short; who asks for rounds gets them.
func (o options) budget() time.Duration {
	if o.quick && o.rounds == 0 {
		return 285 * time.Second
	}
	return 0
}

// length is what every job has in common: how long and how many.
func (o options) length() driver.Job {
	if o.quick {
		return driver.Job{Warm: 40 * time.Millisecond, Measure: 100 * time.Millisecond, Calls: 2000, Conns: 500}
	}
	return driver.Job{Warm: 300 * time.Millisecond, Measure: time.Second, Calls: 20000, Conns: 2000}
}

// profileDir is absolute, and there.
func (o options) profileDir() (string, error) {
	if o.profile == "" {
		return "", nil
	}
	dir, err := filepath.Abs(o.profile)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

func list() {
	for _, p := range allPeers {
		fmt.Printf("peer  %-16s %s\n", p.name, p.what)
	}
	for _, j := range allJobs {
		fmt.Printf("job   %-16s %s\n", j.name, j.what)
	}
}

// chooseJobs keeps the jobs that match, and those on request only where their names stand there.
func chooseJobs(only string) ([]job, error) {
	jobs, err := choose(allJobs, only, func(j job) string { return j.name })
	names := strings.Split(only, ",")
	return slices.DeleteFunc(jobs, func(j job) bool { return j.onRequest && !slices.Contains(names, j.name) }), err
}

// choose keeps the items whose names match one of the patterns.
func choose[T any](items []T, patterns string, name func(T) string) ([]T, error) {
	var chosen []T
	used := map[string]bool{}
	for _, item := range items {
		for pattern := range strings.SplitSeq(patterns, ",") {
			if ok, err := path.Match(pattern, name(item)); err != nil {
				return nil, err
			} else if ok {
				chosen = append(chosen, item)
				used[pattern] = true
				break
			}
		}
	}
	for pattern := range strings.SplitSeq(patterns, ",") {
		if !used[pattern] {
			return nil, fmt.Errorf("%q names nothing that no earlier pattern names; -list prints what there is", pattern)
		}
	}
	return chosen, nil
}
