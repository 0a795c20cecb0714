//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// uxLeft returns the stacks of the bubble's goroutines but for the calling one, when all of them
// are blocked.
func uxLeft() []string {
	synctest.Wait()
	buf := make([]byte, 8<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	_, bubble, _ := strings.Cut(strings.SplitN(all[0], "\n", 2)[0], "synctest bubble")
	var left []string
	for _, stack := range all[1:] {
		if strings.Contains(strings.SplitN(stack, "\n", 2)[0], "synctest bubble"+bubble) && !strings.Contains(stack, "synctest.Test") {
			left = append(left, stack)
		}
	}
	return left
}

// uxWantNothingLeft looks at a moment of the bubble's time, which does not pass meanwhile: what
// ends by a timer is still there. So that a failure does not end the process, all that is left has
// then time to end.
func uxWantNothingLeft(t *testing.T) {
	t.Helper()
	if left := uxLeft(); len(left) > 0 {
		t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		uxPause(time.Hour)
	}
}

// uxBubble serves desc on pipes in a bubble; the server is never closed. stop ends its listener.
func uxBubble(t *testing.T, desc *ttrpc.ServiceDesc) (l *uxPipes, stop func()) {
	t.Helper()
	server, err := ttrpc.NewServer()
	uxCheck(t, err)
	server.RegisterService(uxService, desc)
	l = newUxPipes()
	served := make(chan error)
	go func() { served <- server.Serve(context.Background(), l) }()
	return l, func() {
		l.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
}

// uxWork makes n calls at once, and a stream.
func uxWork(t *testing.T, c *ttrpc.Client, n int) {
	t.Helper()
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := uxCall(context.Background(), c, "echo", "x")
			errs <- err
		}()
	}
	for range n {
		uxCheck(t, <-errs)
	}
	cs, err := c.NewStream(context.Background(), uxBoth, uxService, "chat", nil)
	uxCheck(t, err)
	uxCheck(t, cs.SendMsg(uxText("x")))
	uxCheck(t, cs.RecvMsg(new(wrapperspb.StringValue)))
	uxCheck(t, cs.CloseSend())
	if err := cs.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// A server that was never closed has no goroutine left when its last connection has gone: users'
// tests look for those that are, with goleak and with testing/synctest.
func TestNothingOutlivesTheLastConnection(t *testing.T) {
	for name, calls := range map[string]int{"one call": 1, "many calls": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := uxBubble(t, uxStandard())
				client := ttrpc.NewClient(l.dial())
				uxWork(t, client, calls)
				client.Close()
				stop()
				uxWantNothingLeft(t)
			})
		})
	}
}

// The listener's end may come first, and one connection may go before another that still makes
// calls.
func TestNothingOutlivesTheLastOfTwoConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := uxBubble(t, uxStandard())
		first, second := ttrpc.NewClient(l.dial()), ttrpc.NewClient(l.dial())
		uxWork(t, first, 10)
		uxWork(t, second, 10)
		stop()
		first.Close()
		synctest.Wait()
		uxWork(t, second, 10)
		second.Close()
		uxWantNothingLeft(t)
	})
}

// While the listener goes on, Serve's goroutine is all that is left, after each of several rounds.
func TestNothingButServeIsLeftBetweenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := uxBubble(t, uxStandard())
		for range 3 {
			client := ttrpc.NewClient(l.dial())
			uxWork(t, client, 10)
			client.Close()
			if left := uxLeft(); len(left) != 1 {
				t.Errorf("%d goroutines are left, want Serve's alone:\n%s", len(left), strings.Join(left, "\n\n"))
				break
			}
		}
		stop()
		uxWantNothingLeft(t)
	})
}

// A handler that outlives its connection ends with its return.
func TestLateHandlerEndsWithItsReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, release := make(chan struct{}, 10), make(chan struct{})
		desc := uxStandard()
		desc.Methods["late"] = uxUnary(func(context.Context, string) (string, error) {
			started <- struct{}{}
			<-release
			return "", nil
		})
		l, stop := uxBubble(t, desc)
		client := ttrpc.NewClient(l.dial())
		uxWork(t, client, 10)
		for range 3 {
			go uxCall(context.Background(), client, "late", "")
			<-started
		}
		client.Close()
		stop()
		if left := uxLeft(); len(left) != 3 {
			t.Errorf("%d goroutines are left, want three handlers:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		close(release)
		uxWantNothingLeft(t)
	})
}

// A client whose server has gone has nothing left either, though it was never closed.
func TestNothingOutlivesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := ttrpc.NewServer()
		uxCheck(t, err)
		server.RegisterService(uxService, uxStandard())
		l := newUxPipes()
		served := make(chan error)
		go func() { served <- server.Serve(context.Background(), l) }()
		uxWork(t, ttrpc.NewClient(l.dial()), 10)
		uxCheck(t, server.Close())
		<-served
		uxWantNothingLeft(t)
	})
}
