package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/internal/peer"
	"github.com/containerd/ttrpc/interop/messages"
	google "github.com/containerd/ttrpc/interop/messages/google"
)

const (
	redialing     = 3 // clients that dial themselves
	callersOfEach = 4
)

// restarts has a server of ours shut down and another one take its place, again and again, under
// the load of clients that dial themselves. Nothing of theirs may fail: what the server has begun
// is answered, streams included, and what it has not begun is made again, calls by their client.
func (s *soak) restarts(ctx context.Context, n int) {
	dir := filepath.Join(s.dir, "restarts")
	server, err := s.startNext(dir)
	if err != nil {
		s.tally.wrongAnswer("restarts: %v", err)
		return
	}
	load, stop := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for c := range redialing {
		random := rand.New(rand.NewPCG(s.seed, uint64(n)<<32|uint64(1000+c)))
		clients.Go(func() { s.redial(load, server, random) })
	}
	chance := rand.New(rand.NewPCG(s.seed, uint64(n)<<32|2000))
	for pause(ctx, time.Second+time.Duration(chance.IntN(2000))*time.Millisecond); ctx.Err() == nil; {
		start := time.Now()
		if server, err = s.replace(server, dir); err != nil {
			s.tally.wrongAnswer("restart: %v", err)
			break
		}
		s.tally.done("restart", time.Since(start))
		pause(ctx, time.Second+time.Duration(chance.IntN(2000))*time.Millisecond)
	}
	stop()
	clients.Wait()
	if err := server.Stop(); err != nil {
		s.tally.wrongAnswer("restarts: %v", err)
	}
}

func (s *soak) startNext(dir string) (*peer.Server, error) {
	ours := peer.Releases[len(peer.Releases)-1]
	return peer.Start(context.Background(), ours, s.bins[ours.Name], dir)
}

// replace has a server shut down and starts the next at its address.
func (s *soak) replace(old *peer.Server, dir string) (*peer.Server, error) {
	conn, err := net.Dial("unix", old.Addr)
	if err != nil {
		return old, err
	}
	c := ttrpc.NewClient(conn)
	defer c.Close()
	f := google.Form("google")
	if err := c.Call(context.Background(), "ttrpc.interop.google", "Leave", f.Of(messages.Item{}), f.New()); err != nil {
		return old, err
	}
	if err := old.Wait(); err != nil {
		return old, err
	}
	return s.startNext(dir)
}

// redial has several callers on one client, until the load ends.
func (s *soak) redial(ctx context.Context, server *peer.Server, random *rand.Rand) {
	c, err := ttrpc.Dial(ctx, "unix://"+server.Addr, ttrpc.WithWaitForReady(), ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed),
		ttrpc.WithBackoff(ttrpc.Backoff{Base: 10 * time.Millisecond, Max: 100 * time.Millisecond}))
	if err != nil {
		s.tally.wrongAnswer("restarts: %v", err)
		return
	}
	l := &link{client: c, server: server, forms: strings.Split(server.Forms, ","), tally: &s.tally, name: "over restarts: ", redials: true}
	var callers sync.WaitGroup
	for range callersOfEach {
		mine := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
		callers.Go(func() { l.work(ctx, mine, 1<<30) })
	}
	callers.Wait()
	c.Close()
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), onCloseBound)
	defer cancel()
	if err := c.UserOnCloseWait(wait); err != nil {
		s.tally.wrongAnswer("%v", fmt.Errorf("on-close of a redialling client does not come: %w", err))
	}
}
