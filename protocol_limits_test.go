//go:build go1.25

package ttrpc_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/testkit"
)

func TestP53CallsInFlightAreBounded(t *testing.T) {
	g := newGate()
	p := serve(t, ttrpc.WithServerMaxCalls(2), withMethod("gated", g.unary()), withStream("gatedStream", g.stream())).raw()
	p.send(request(1, "gated", "a"), opening(3, "gatedStream"), request(5, "echo", "x"), opening(7, "chat"))
	p.wantStatus(5, codes.ResourceExhausted, "ttrpc: more than 2 calls in flight")
	p.wantStatus(7, codes.ResourceExhausted, "ttrpc: more than 2 calls in flight")
	g.open()
	p.wantAnswer(1, "a")
	p.wantUsable(9)
}

// A call that has been answered is not in flight any more: as many callers as there may be calls,
// each of them with one at a time, are never refused.
func TestP53AnsweredCallsDoNotCount(t *testing.T) {
	const callers = 2
	r := serve(t, ttrpc.WithServerMaxCalls(callers))
	var all sync.WaitGroup
	for range 4 {
		c := r.client()
		for range callers {
			all.Go(func() {
				for range 5000 {
					if _, err := call(bg, c, "echo", "x"); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}

func TestP53BytesOfRequestsAreBounded(t *testing.T) {
	g := newGate()
	p := serve(t, ttrpc.WithServerRequestBuffer(1000), withMethod("gated", g.unary())).raw()
	p.send(request(1, "gated", strings.Repeat("x", 2000)), request(3, "echo", "x"))
	p.wantStatus(3, codes.ResourceExhausted, "ttrpc: requests in flight exceed 1000 bytes")
	g.open()
	p.wantAnswer(1, strings.Repeat("x", 2000))
	p.wantUsable(5)
}

func TestP53ConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, network("pipe"), ttrpc.WithServerMaxConns(2))
		first, second := r.raw(), r.raw()
		first.wantUsable(1)
		second.wantUsable(1)
		third := make(chan *rawPeer)
		go func() { third <- r.raw() }()
		synctest.Wait()
		select {
		case <-third:
			t.Fatal("a third connection was accepted")
		default:
		}
		first.Close()
		(<-third).wantUsable(1)
		second.wantUsable(3)
	})
}

// waitingHandshake takes until the peer has sent a byte, or its context or its connection's
// deadline ends.
type waitingHandshake struct{ byContext bool }

func (h waitingHandshake) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	if h.byContext {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	_, err := conn.Read(make([]byte, 1))
	return conn, nil, err
}

func TestP53HandshakesAreBounded(t *testing.T) {
	for name, opts := range map[string][]any{
		"default": {ttrpc.WithServerHandshaker(waitingHandshake{})},
		"context": {ttrpc.WithServerHandshaker(waitingHandshake{byContext: true})},
		"option":  {ttrpc.WithServerHandshaker(waitingHandshake{}), ttrpc.WithServerHandshakeTimeout(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, append(opts, network("pipe"))...)
				want := 30 * time.Second
				if name == "option" {
					want = time.Hour
				}
				silent, start := r.conn(), time.Now()
				if name != "context" {
					other := r.raw()
					_, err := other.Write([]byte{0})
					check(t, err)
					other.wantUsable(1)
				}
				_, err := silent.Read(make([]byte, 1))
				wantExactly(t, err, io.EOF)
				equal(t, time.Since(start), want)
			})
		})
	}
}

// An idle connection: one goroutine at either side.
func TestP54IdleConnectionHasOneGoroutine(t *testing.T) {
	const conns = 20
	use := func(clients []*ttrpc.Client) {
		for _, c := range clients {
			wantEcho(t, c)
			check(t, open(t, bg, c, both, "chat", nil).CloseSend())
		}
		for _, c := range clients {
			wantEcho(t, c)
		}
	}
	t.Run("after a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := onPipe(t)
			before := libraryGoroutines() // Serve
			var clients []*ttrpc.Client
			for range conns {
				clients = append(clients, pipeClient(t, r))
			}
			use(clients)
			elapse(10 * time.Second) // goroutines that have run handlers end
			equal(t, libraryGoroutines()-before, 2*conns)
		})
	})
	for _, transport := range []network{"unix", "tcp"} {
		t.Run(string(transport), func(t *testing.T) {
			r := serve(t, transport)
			var clients []*ttrpc.Client
			for range conns {
				clients = append(clients, r.client())
			}
			use(clients)
			const others = conns / 2 // Serve, and goroutines that have run handlers, one at a time
			var all []string
			eventually(t, "the goroutines of tests before this to end", func() bool {
				all = testkit.Goroutines("containerd/ttrpc.", "containerd/ttrpc/internal/runner.")
				return len(all) <= 2*conns+others
			})
			if len(all) < 2*conns {
				t.Errorf("%d goroutines:\n%s", len(all), strings.Join(all, "\n\n"))
			}
		})
	}
}
