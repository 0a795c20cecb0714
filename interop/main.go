// Command interop runs clients of every release of the library against servers of every
// other, as processes, and prints one table of what works.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	control := flag.Bool("control", false, "also pair the originals with each other")
	flag.Parse()
	if err := run(ctx, *control); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, control bool) error {
	dir, err := os.MkdirTemp("", "ttrpc-interop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bins, err := peer.BuildAll(ctx, dir)
	if err != nil {
		return err
	}
	all, err := pairAll(ctx, bins, dir, control)
	printTable(os.Stdout, all)
	for _, p := range all {
		for _, r := range p.wrong() {
			err = errors.Join(err, fmt.Errorf("client %s, server %s, %s:\n\tgot  %s\n\twant %s", p.client, p.server, r.Scenario, r.Got, r.Want))
		}
	}
	return err
}

// pairAll runs every pairing in which ours has a part, and with control all others too.
func pairAll(ctx context.Context, bins map[string]string, dir string, control bool) ([]pairing, error) {
	var all []pairing
	var failed error
	for _, r := range peer.Releases {
		s, err := peer.Start(ctx, r, bins[r.Name], dir)
		if err != nil {
			return all, err
		}
		for _, c := range peer.Releases {
			if !c.Ours && !r.Ours && !control {
				continue
			}
			p := pairing{client: c.Name, server: r.Name}
			p.results, p.err = peer.RunClient(ctx, bins[c.Name], s)
			failed = errors.Join(failed, p.err)
			all = append(all, p)
		}
		failed = errors.Join(failed, s.Stop())
	}
	return all, failed
}
