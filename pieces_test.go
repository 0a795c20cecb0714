//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/containerd/ttrpc"
)

// All of the extensions, between two real peers, through a proxy that cuts what passes into pieces
// and reorders nothing: bytes one by one, or pieces of any length.
func TestExtensionsInPieces(t *testing.T) {
	for _, longest := range []int{1, 2, 9, 11, 17, 4000} {
		t.Run(fmt.Sprint("up to ", longest), func(t *testing.T) {
			ended, held, release := make(chan error, 1), make(chan struct{}, 1), make(chan struct{})
			keep := unary(func(ctx context.Context, _ string) (string, error) {
				held <- struct{}{}
				select {
				case <-release:
				case <-ctx.Done():
					ended <- ctx.Err()
				}
				return "held", nil
			})
			r := serve(t, withMethod("keep", keep), ttrpc.WithServerStreamWindow(2*kib))
			c := ttrpc.NewClient(inPieces(t, r.conn(), longest), ttrpc.WithClientStreamWindow(2*kib))
			t.Cleanup(func() { c.Close() })
			wantEcho(t, c)
			wantEcho(t, c)

			wantUnreadStreams(t, c)
			ctx, stop := context.WithCancel(bg)
			given := goCall(ctx, c, "keep", "x")
			wait(t, held, "the handler")
			check(t, c.Ping(bg))
			stop()
			wantExactly(t, wait(t, ended, "the handler"), context.Canceled)
			wantExactly(t, wait(t, given, "the call"), context.Canceled)

			kept := goCall(bg, c, "keep", "x")
			wait(t, held, "the handler")
			shut := make(chan error, 1)
			go func() { shut <- r.Shutdown(bg) }()
			<-r.Done()
			_, err := call(bg, c, "echo", "x")
			for err == nil {
				_, err = call(bg, c, "echo", "x")
			}
			wantNotBegun(t, err)
			close(release)
			check(t, wait(t, kept, "the call in flight"))
			check(t, wait(t, shut, "Shutdown"))
		})
	}
}

// wantUnreadStreams opens streams whose messages, more than a window has room for, wait while calls
// go on, and then reads all of them. The streams' handlers at the server take nothing meanwhile.
func wantUnreadStreams(t *testing.T, c *ttrpc.Client) {
	t.Helper()
	const streams, messages = 10, 20
	var all []ttrpc.ClientStream
	var senders sync.WaitGroup
	for range streams {
		cs := open(t, bg, c, both, "chat", nil)
		all = append(all, cs)
		senders.Go(func() {
			for i := range messages {
				if err := cs.SendMsg(text(fmt.Sprint(i, of(250)))); err != nil {
					t.Error(err)
				}
			}
			if err := cs.CloseSend(); err != nil {
				t.Error(err)
			}
		})
		wantEcho(t, c)
	}
	for _, cs := range all {
		wantNumbered(t, cs, messages, 250)
		wantTexts(t, cs)
	}
	senders.Wait()
}

// inPieces returns a conn whose bytes, both ways, pass to another one in pieces.
func inPieces(t *testing.T, to net.Conn, longest int) net.Conn {
	near, far := pair(t, "unix")
	t.Cleanup(func() { to.Close() })
	pass := func(to, from net.Conn, chance *rand.Rand) {
		buf := make([]byte, 64*kib)
		for {
			n, err := from.Read(buf)
			for b := buf[:n]; len(b) > 0; {
				piece := min(1+chance.IntN(longest), len(b))
				if _, err := to.Write(b[:piece]); err != nil {
					return
				}
				b = b[piece:]
			}
			if err != nil {
				_ = to.(*net.UnixConn).CloseWrite()
				return
			}
		}
	}
	go pass(to, far, rand.New(rand.NewPCG(uint64(longest), 1)))
	go pass(far, to, rand.New(rand.NewPCG(uint64(longest), 2)))
	return near
}
