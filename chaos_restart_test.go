//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// ledger has what servers have begun, and what clients were told of it.
type ledger struct {
	mu    sync.Mutex // guards all below
	begun map[string]int
	ended map[string]error
}

func (l *ledger) begin(tag string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun[tag]++
}

func (l *ledger) end(tag string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[tag] = err
}

// faults are the calls that ran twice, or whose error does not say what has happened.
func (l *ledger) faults() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for tag, err := range l.ended {
		n := l.begun[tag]
		if n > 1 || err == nil && n != 1 || ttrpc.NotSent(err) && n != 0 {
			all = append(all, fmt.Sprintf("%s ran %d times, NotSent %t, error %v", tag, n, ttrpc.NotSent(err), err))
		}
	}
	return all
}

// service are methods that tell the ledger of each call, which its first message names.
func (l *ledger) service() *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"count": unary(func(ctx context.Context, in string) (string, error) {
				l.begin(in)
				elapse(time.Duration(len(in)%4) * time.Millisecond)
				return in, ctx.Err()
			}),
		},
		Streams: map[string]ttrpc.Stream{"copy": bidi(func(ctx context.Context, ss ttrpc.StreamServer) error {
			tag, err := recvText(ss)
			if err != nil {
				return err
			}
			l.begin(tag)
			return chat(ctx, ss)
		})},
	}
}

// restartLoad is the load of one seed: clients that dial themselves, and servers that come and go.
type restartLoad struct {
	*ledger
	t     *testing.T
	count *chaosCount
	place *place
	seed  uint64
	sound bool // connections have no faults, and each server ends in good order: no call may fail
}

// TestChaosRestarts has servers shut down, or closed, and others take their place, under clients
// with calls, streams that nobody reads for a while, and such as are given up. No call runs twice,
// NotSent says what has happened, no message is lost or another's; and where nothing but shutdowns
// happens no call fails.
func TestChaosRestarts(t *testing.T) {
	first, n := chaosSeeds(100)
	count := new(chaosCount)
	defer count.log(t)
	for seed := first; seed < first+n; seed++ {
		synctest.Test(t, func(t *testing.T) {
			r := &restartLoad{
				ledger: &ledger{begun: make(map[string]int), ended: make(map[string]error)},
				t:      t, count: count, place: newPlace(t), seed: seed, sound: seed%2 == 0,
			}
			r.run(rand.New(rand.NewPCG(seed, 7)))
			synctest.Wait() // for handlers whose clients have gone
			for _, fault := range r.faults() {
				t.Errorf("seed %d: %s", seed, fault)
			}
		})
	}
}

func (r *restartLoad) run(chance *rand.Rand) {
	extensions := []ttrpc.Extensions{ttrpc.ExtensionsAuto, ttrpc.ExtensionsAssumed}[chance.IntN(2)]
	var clients []*ttrpc.Client
	r.count.conns.Add(1)
	if r.sound {
		r.count.endless.Add(1)
	}
	for i := range 1 + chance.IntN(3) {
		opts := []ttrpc.ClientOpts{ttrpc.WithWaitForReady(), ttrpc.WithClientExtensions(extensions), ttrpc.WithClientStreamWindow(1000)}
		if !r.sound {
			opts = append(opts, ttrpc.WithDialer(r.faultyDialer(uint64(i))))
		}
		clients = append(clients, r.place.client(opts...))
	}
	load, stop := context.WithCancel(bg)
	var callers sync.WaitGroup
	for i, c := range clients {
		for k := range 1 + chance.IntN(3) {
			mine := rand.New(rand.NewPCG(chance.Uint64(), 0))
			callers.Go(func() {
				for n := 0; load.Err() == nil; n++ {
					r.step(mine, c, fmt.Sprint(i, "/", k, "/", n))
				}
			})
		}
	}
	for range 2 + chance.IntN(4) {
		r.serveFor(chance, clients)
	}
	r.place.set(onPipe(r.t, r.service()))
	stop()
	callers.Wait()
}

// serveFor has a server take calls for a while, and then end.
func (r *restartLoad) serveFor(chance *rand.Rand, clients []*ttrpc.Client) {
	server := onPipe(r.t, r.service(), ttrpc.WithServerStreamWindow(1000))
	r.place.set(server)
	if r.sound { // a connection that is as new as its first request can't be told of a shutdown
		for _, c := range clients {
			wantEcho(r.t, c)
			wantEcho(r.t, c)
		}
	}
	elapse(time.Duration(chance.Int64N(int64(300 * time.Millisecond))))
	r.place.set(nil)
	if r.sound || chance.IntN(2) == 0 {
		go server.Shutdown(bg)
	} else {
		check(r.t, server.Server.Close())
	}
	elapse(time.Duration(chance.Int64N(int64(20 * time.Millisecond))))
}

func (r *restartLoad) faultyDialer(client uint64) func(context.Context, string) (net.Conn, error) {
	chance := rand.New(rand.NewPCG(r.seed, 100+client))
	return func(context.Context, string) (net.Conn, error) {
		r.place.mu.Lock()
		server := r.place.rig
		r.place.mu.Unlock()
		if server == nil {
			return nil, errNobody
		}
		there, _ := pipe.Random(rand.New(rand.NewPCG(chance.Uint64(), 1)), 5000)
		back, _ := pipe.Random(rand.New(rand.NewPCG(chance.Uint64(), 2)), 5000)
		conn, err := server.l.(*pipe.Listener).Dial(there, back)
		if err != nil {
			return nil, err // and no nil *pipe.Conn
		}
		return conn, nil
	}
}

// step makes one call, or stream.
func (r *restartLoad) step(chance *rand.Rand, c *ttrpc.Client, tag string) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	patient := true
	if chance.IntN(4) == 0 {
		patient = false
		timer := time.AfterFunc(time.Duration(chance.Int64N(int64(20*time.Millisecond))), cancel)
		defer timer.Stop()
	}
	var err error
	streams := chance.IntN(3) == 0 // one that is not begun is its user's to open again
	if !streams {
		var out string
		if out, err = call(ctx, c, "count", tag); err == nil {
			err = compare(out, tag)
		}
	} else {
		err = r.copies(ctx, chance, c, tag)
	}
	r.end(tag, err)
	r.count.calls.Add(1)
	if err != nil {
		r.count.failed.Add(1)
	}
	var other *wrong
	if errors.As(err, &other) || err != nil && r.sound && patient && !(streams && ttrpc.NotSent(err)) {
		r.t.Errorf("seed %d: %s: %v", r.seed, tag, err)
	}
	elapse(time.Duration(chance.Int64N(int64(5 * time.Millisecond))))
}

// copies has messages come back from a stream, which nobody reads for a while.
func (r *restartLoad) copies(ctx context.Context, chance *rand.Rand, c *ttrpc.Client, tag string) error {
	cs, err := c.NewStream(ctx, both, svc, "copy", text(tag))
	if err != nil {
		return err
	}
	n := chance.IntN(20)
	sent := make(chan error, 1)
	go func() { sent <- sendAll(cs, n, tag+of(250)) }()
	elapse(time.Duration(chance.Int64N(int64(200 * time.Millisecond))))
	err = receiveAll(cs, func(i int) string { return tag + of(250) + fmt.Sprint(i) }, n)
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	return err
}
