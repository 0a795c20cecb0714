package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/internal/peer"
	"github.com/containerd/ttrpc/interop/messages"
	google "github.com/containerd/ttrpc/interop/messages/google"
)

// usage is what a process holds while no connection is open.
type usage struct {
	goroutines, descriptors int
	rss                     int64 // KiB
}

// A sample is what both sides hold after a round.
type sample struct{ client, server usage }

// settleBound is how long what a round used may take to go away.
const settleBound = time.Minute

// measure waits until both sides are at rest, takes a sample and prints it. The first one
// is taken before any load.
func (s *soak) measure(ctx context.Context, elapsed time.Duration) error {
	now, err := s.settled(ctx)
	if err != nil {
		return err
	}
	if len(s.samples) == 0 {
		fmt.Println("   time      done    errors  wrong | client: goroutines  descriptors      RSS | our server: the same")
	}
	s.samples = append(s.samples, now)
	did, failed, wrong := s.tally.totals()
	fmt.Printf("%6.0fs %9d %9d %6d | %18d %12d %4d MiB | %11d %4d %4d MiB\n", elapsed.Seconds(), did, failed, wrong,
		now.client.goroutines, now.client.descriptors, now.client.rss>>10, now.server.goroutines, now.server.descriptors, now.server.rss>>10)
	return nil
}

// settled returns a sample as soon as it holds no more than the first one did, or when
// there is no more waiting for that.
func (s *soak) settled(ctx context.Context) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, settleBound)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := s.sample()
		if err != nil || len(s.samples) == 0 || !now.grown(s.samples[0]) {
			return now, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now, s.printStacks()
		}
	}
}

// printStacks shows what does not go away, on both sides.
func (s *soak) printStacks() error {
	state, err := ask(s.servers[len(s.servers)-1], "stacks")
	fmt.Printf("our server's goroutines:\n%s\nthe client's goroutines:\n", state.Text)
	return errors.Join(err, pprof.Lookup("goroutine").WriteTo(os.Stdout, 1))
}

// counts is what has to be the same again after every round.
func (s sample) counts() [4]int {
	return [4]int{s.client.goroutines, s.client.descriptors, s.server.goroutines, s.server.descriptors}
}

func (s sample) grown(from sample) bool {
	a, b := s.counts(), from.counts()
	for i := range a {
		if a[i] > b[i] {
			return true
		}
	}
	return false
}

// sample looks at this process and at our server.
func (s *soak) sample() (sample, error) {
	ours := s.servers[len(s.servers)-1]
	server, err := serverUsage(ours)
	if err != nil {
		return sample{}, fmt.Errorf("our server: %w", err)
	}
	debug.FreeOSMemory()
	client, err := processUsage(os.Getpid())
	client.goroutines = runtime.NumGoroutine()
	return sample{client, server}, err
}

// ask gets a server's state, over a connection that is gone again afterwards.
func ask(server *peer.Server, what string) (messages.Item, error) {
	conn, err := net.Dial("unix", server.Addr)
	if err != nil {
		return messages.Item{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleBound)
	defer cancel()
	c := ttrpc.NewClient(conn, ttrpc.WithOnClose(func() {}))
	f := google.Form("google")
	state := f.New()
	err = c.Call(ctx, "ttrpc.interop.google", "State", f.Of(messages.Item{Text: what}), state)
	return f.Read(state), errors.Join(err, c.Close(), c.UserOnCloseWait(ctx))
}

func serverUsage(server *peer.Server) (usage, error) {
	state, err := ask(server, "")
	if err != nil {
		return usage{}, err
	}
	u, err := processUsage(int(state.ID))
	u.goroutines = int(state.Number)
	return u, err
}

// processUsage counts a process's descriptors and takes its resident memory.
func processUsage(pid int) (usage, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	descriptors, err := os.ReadDir(dir + "fd")
	if err != nil {
		return usage{}, err
	}
	u := usage{descriptors: len(descriptors)}
	text, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.rss, err = strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return u, err
}

// rssSlack is how much memory may differ between rounds for the allocator's own reasons.
const rssSlack = 16 << 10

// growth is an error if the last sample holds more than the first ones.
func (s *soak) growth() error {
	first, last := s.samples[0], s.samples[len(s.samples)-1]
	var err error
	if last.grown(first) {
		err = fmt.Errorf("goroutines and descriptors, client and server, have grown from %v to %v", first.counts(), last.counts())
	}
	half := 1 + len(s.samples)/2 // the first sample was before any load
	early, late := s.samples[1:half], s.samples[half:]
	for _, side := range []struct {
		name string
		rss  func(sample) int64
	}{
		{"the client", func(s sample) int64 { return s.client.rss }},
		{"our server", func(s sample) int64 { return s.server.rss }},
	} {
		before, after := most(early, side.rss), least(late, side.rss)
		if after > before+before/4+rssSlack {
			err = errors.Join(err, fmt.Errorf("memory of %s has grown from %d to %d KiB", side.name, before, after))
		}
	}
	return err
}

func most(all []sample, f func(sample) int64) int64 {
	n := f(all[0])
	for _, s := range all {
		n = max(n, f(s))
	}
	return n
}

func least(all []sample, f func(sample) int64) int64 {
	n := f(all[0])
	for _, s := range all {
		n = min(n, f(s))
	}
	return n
}
