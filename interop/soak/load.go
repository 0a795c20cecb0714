package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/internal/peer"
	"github.com/containerd/ttrpc/interop/mixed"
)

// soak is one run.
type soak struct {
	seed    uint64
	dir     string
	bins    map[string]string
	servers []*peer.Server
	tally   tally
	samples []sample
}

// connectionsEach is how many connections each server has at a time.
const connectionsEach = 4

// round keeps every server under load until end.
func (s *soak) round(ctx context.Context, n int, end time.Time) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var all sync.WaitGroup
	for i, server := range s.servers {
		for c := range connectionsEach {
			random := rand.New(rand.NewPCG(s.seed, uint64(n)<<32|uint64(i)<<16|uint64(c)))
			all.Go(func() { s.keepConnected(ctx, server, random) })
		}
	}
	all.Go(func() { s.oldClients(ctx) })
	all.Go(func() { s.restarts(ctx, n) })
	all.Wait()
}

// keepConnected has one connection after the other to a server.
func (s *soak) keepConnected(ctx context.Context, server *peer.Server, random *rand.Rand) {
	for ctx.Err() == nil {
		if err := s.connection(ctx, server, random); err != nil {
			s.tally.wrongAnswer("%s: %v", server.Release.Name, err)
			return
		}
	}
}

// A link is one connection under load. Calls may fail with ErrClosed once it is cut.
type link struct {
	client  *ttrpc.Client
	server  *peer.Server
	forms   []string
	name    string // in front of those of its jobs
	redials bool   // nothing may fail, but what was not begun, and that is made again
	cut     atomic.Bool
	tally   *tally
}

// onCloseBound is how long an on-close callback may take to run after Close.
const onCloseBound = time.Minute

// connection has several callers on a new connection, and ends it in one of several ways.
func (s *soak) connection(ctx context.Context, server *peer.Server, random *rand.Rand) error {
	conn, err := net.Dial("unix", server.Addr)
	if err != nil {
		return err
	}
	start := time.Now()
	defer func() { s.tally.done("connection", time.Since(start)) }()
	l := &link{server: server, forms: strings.Split(server.Forms, ","), tally: &s.tally}
	var closes atomic.Int64
	if random.IntN(4) == 0 {
		conn = &cutConn{Conn: conn, left: int64(random.IntN(1 << 20)), cut: &l.cut}
	}
	l.client = ttrpc.NewClient(conn, ttrpc.WithOnClose(func() { closes.Add(1) }))
	early := random.IntN(4)
	var callers sync.WaitGroup
	for range 1 + random.IntN(16) {
		mine := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
		callers.Go(func() { l.work(ctx, mine, 1+mine.IntN(60)) })
	}
	if early == 0 {
		pause(ctx, time.Duration(random.IntN(50))*time.Millisecond)
		l.cut.Store(true)
		l.client.Close()
	}
	callers.Wait()
	l.client.Close()
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), onCloseBound)
	defer cancel()
	if err := l.client.UserOnCloseWait(wait); err != nil {
		return fmt.Errorf("on-close does not come: %w", err)
	}
	if n := closes.Load(); n != 1 {
		return fmt.Errorf("on-close ran %d times", n)
	}
	return nil
}

// work makes a number of calls and streams, until the connection is cut.
func (l *link) work(ctx context.Context, random *rand.Rand, n int) {
	job := &job{link: l, random: random}
	for i := 0; i < n && ctx.Err() == nil && !l.cut.Load(); i++ {
		job.mine = mixed.Forms[random.IntN(len(mixed.Forms))]
		job.theirs = l.forms[random.IntN(len(l.forms))]
		job.one()
	}
}

// pause waits for a while or for the context.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// cutConn closes itself within a write when so many bytes have gone out.
type cutConn struct {
	net.Conn
	cut *atomic.Bool

	mu   sync.Mutex // guards left
	left int64
}

func (c *cutConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(b)) < c.left {
		c.left -= int64(len(b))
		return c.Conn.Write(b)
	}
	c.cut.Store(true)
	c.Conn.Write(b[:c.left])
	c.left = 0
	c.Conn.Close()
	return 0, net.ErrClosed
}

// oldClients runs the originals' clients through their scenarios against our server.
func (s *soak) oldClients(ctx context.Context) {
	ours := s.servers[len(s.servers)-1]
	for i := 0; ctx.Err() == nil; i++ {
		r := peer.Releases[i%(len(peer.Releases)-1)]
		start := time.Now()
		results, err := peer.RunClient(context.WithoutCancel(ctx), s.bins[r.Name], ours)
		if err != nil {
			s.tally.wrongAnswer("client of %s: %v", r.Name, err)
			return
		}
		s.tally.done("old client, "+r.Name, time.Since(start))
		for _, got := range results {
			if got.Got != got.Want && peer.Known(r.Name, ours.Release.Name, got) == nil {
				s.tally.wrongAnswer("client of %s, %s: got %s, want %s", r.Name, got.Scenario, got.Got, got.Want)
			}
		}
	}
}
