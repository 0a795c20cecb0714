//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// What Shutdown has answered arrives, also over TCP, which throws answers away when requests lie
// unread.
func TestShutdownLosesNoAnswerOverTCP(t *testing.T) {
	for range 20 {
		frozen(t, func(t *testing.T) {
			g := newGate()
			r := serve(t, network("tcp"), withMethod("gated", g.unary()))
			p := r.raw()
			p.send(request(1, "gated", "x"))
			wait(t, g.started, "the call")
			shut := make(chan error, 1)
			go func() { shut <- r.Shutdown(bg) }()
			wait(t, r.served, "Serve")
			done := make(chan struct{})
			go func() { // requests that nobody will answer, up to the end
				defer close(done)
				for id := uint32(3); id < 2000; id += 2 {
					if _, err := p.Write(request(id, "echo", "x").bytes()); err != nil {
						return
					}
				}
			}()
			g.open()
			for f := p.recv(); f.id != 1; f = p.recv() {
				f.response(t)
			}
			p.Close()
			<-done
			check(t, wait(t, shut, "Shutdown"))
		})
	}
}

// Shutdown closes each connection with its last call's answer, and returns with the last of all.
func TestShutdownWaitsForExactlyTheCallsInFlight(t *testing.T) {
	const conns, callsEach = 10, 5
	synctest.Test(t, func(t *testing.T) {
		var gates [conns][callsEach]chan struct{}
		r := onPipe(t, withMethod("gate", unary(func(_ context.Context, in string) (string, error) {
			var i, j int
			_, err := fmt.Sscan(in, &i, &j)
			<-gates[i][j]
			return in, err
		})))
		var ends [conns]*pipe.Conn
		results := map[[2]int]<-chan error{}
		for i := range conns {
			ends[i] = pipeTo(t, r)
			c := ttrpc.NewClient(ends[i])
			t.Cleanup(func() { c.Close() })
			for j := range callsEach {
				gates[i][j] = make(chan struct{})
				results[[2]int{i, j}] = goCall(bg, c, "gate", fmt.Sprint(i, j))
			}
		}
		idle := pipeClient(t, r)
		wantEcho(t, idle)
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(bg) }()
		check(t, idle.UserOnCloseWait(bg))
		var left [conns]int
		for n, k := range rand.New(rand.NewPCG(1, 1)).Perm(conns * callsEach) {
			i, j := k/callsEach, k%callsEach
			elapse(time.Hour)
			if left[i]++; ends[i].Closed() || len(done) > 0 {
				t.Fatalf("closed with calls in flight, before release %d", n)
			}
			close(gates[i][j])
			check(t, <-results[[2]int{i, j}])
			synctest.Wait()
			equal(t, ends[i].Closed(), left[i] == callsEach)
		}
		check(t, <-done)
	})
}

// Shutdown waits for answers, and not for handlers whose call has been answered for them.
func TestShutdownWaitsForAnswers(t *testing.T) {
	frozen(t, func(t *testing.T) {
		g := newGate()
		r := serve(t, withMethod("gated", g.unary()))
		p := r.raw()
		p.send(request(1, "gated", "x"))
		wait(t, g.started, "the handler")
		p.send(data(1, 0, "x")) // which ends the call, not its handler
		p.wantStatus(1, codes.InvalidArgument, "data handling error: not a streaming call")
		ended, cancel := context.WithCancel(bg)
		cancel()
		check(t, r.Shutdown(ended))
		g.open()
		check(t, r.Shutdown(bg))
		p.wantEnd()
	})
}

// lateListener is a listener whose Close waits.
type lateListener struct {
	net.Listener
	closing, goOn chan struct{}
}

func (l *lateListener) Close() error {
	l.closing <- struct{}{}
	<-l.goOn
	return l.Listener.Close()
}

// Once Done's channel is closed no call begins, though the connections do not drain yet: a watch
// that ends for it, and is opened again at once, would be served once more.
func TestNoCallBeginsOnceDoneIsClosed(t *testing.T) {
	l := &lateListener{listen(t, "unix"), make(chan struct{}, 2), make(chan struct{})}
	r := serve(t, l, withMethod("hang up", unary(func(context.Context, string) (string, error) { return "begun", nil })))
	p := r.raw()
	p.send(request(1, "echo", "x"))
	p.wantAnswer(1, "x")
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(bg) }()
	wait(t, l.closing, "the listener's Close")
	<-r.Done()
	p.send(request(3, "hang up", "x"))
	p.wantStatus(3, codes.Unavailable, ttrpc.ErrServerClosed.Error())
	p.send(opening(5, "chat"))
	p.wantStatus(5, codes.Unavailable, ttrpc.ErrServerClosed.Error())
	close(l.goOn)
	p.wantEnd()
	check(t, wait(t, done, "Shutdown"))
}
