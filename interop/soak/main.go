// Command soak puts mixed load on servers of every release for as long as it is told, with
// cancels, deadlines, paused consumers, streams that are given up, cut connections and reconnects
// at random, and checks every answer. One server of ours is restarted again and again, under
// clients that dial themselves, for which nothing may fail. It fails if an answer is wrong, or if
// goroutines, descriptors or memory grow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

func main() {
	length := flag.Duration("for", time.Minute, "how long to run")
	seed := flag.Uint64("seed", rand.Uint64(), "what to do is chosen by this; the scheduler still has its say")
	race := flag.Bool("race", false, "build our server with the race detector")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *length, *seed, *race); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// roundCount is how many times the load is stopped to see what stays behind.
const roundCount = 8

func run(ctx context.Context, length time.Duration, seed uint64, race bool) (err error) {
	dir, err := os.MkdirTemp("", "ttrpc-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &soak{seed: seed, dir: dir}
	if err := os.Mkdir(filepath.Join(dir, "restarts"), 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stopServers()) }()
	if err := s.startServers(ctx, dir, race); err != nil {
		return err
	}
	fmt.Printf("soak for %v, seed %d\n", length, seed)
	start := time.Now()
	if err := s.measure(ctx, 0); err != nil {
		return err
	}
	for n := range roundCount {
		s.round(ctx, n, time.Now().Add(length/roundCount))
		if err := s.measure(ctx, time.Since(start)); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	s.tally.print(os.Stdout)
	return errors.Join(s.tally.failure(), s.growth())
}

// startServers builds the peers and starts a server of each release.
func (s *soak) startServers(ctx context.Context, dir string, race bool) error {
	bins, err := peer.BuildAll(ctx, dir)
	if err != nil {
		return err
	}
	s.bins = bins
	for _, r := range peer.Releases {
		if r.Ours && race {
			if bins[r.Name], err = peer.Build(ctx, r, dir, "-race"); err != nil {
				return err
			}
		}
		// The servers end with this process, or by stopServers, but not with the context:
		// an interrupted run still stops them in order.
		server, err := peer.Start(context.WithoutCancel(ctx), r, bins[r.Name], dir)
		if err != nil {
			return err
		}
		s.servers = append(s.servers, server)
	}
	return nil
}

func (s *soak) stopServers() error {
	var err error
	for _, server := range s.servers {
		err = errors.Join(err, server.Stop())
	}
	return err
}
