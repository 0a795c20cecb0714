//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

// uxDeadlines is the conn of a client, and counts the read deadlines that are set on it. The
// package knows nothing of its type, and has to read it as it reads any conn.
type uxDeadlines struct {
	net.Conn
	set chan time.Time
}

func (c *uxDeadlines) SetReadDeadline(at time.Time) error {
	c.set <- at
	return c.Conn.SetReadDeadline(at)
}

func (c *uxDeadlines) SetDeadline(at time.Time) error {
	c.set <- at
	return c.Conn.SetDeadline(at)
}

// uxCancelled makes a call, cancels it when it has arrived, and wants it to return.
func uxCancelled(t *testing.T, client *ttrpc.Client, requests <-chan uxFrame) uint32 {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := uxHang(ctx, client)
	id := (<-requests).id
	cancel()
	if err := <-result; err != context.Canceled {
		t.Fatalf("the call returned %v", err)
	}
	return id
}

// A lone call that nobody answers returns when it is cancelled, each time.
func TestP41LoneCallIsCancelled(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		_, client, requests := uxSilent(t, warm)
		for range 30 {
			uxCancelled(t, client, requests)
		}
	})
}

// Nothing that a cancelled call has done to the conn stays: late answers are dropped, and later
// calls are answered.
func TestP41ConnectionAfterCancelledCalls(t *testing.T) {
	conn, p := uxRawServer(t)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	answer := func(id uint32, text string) {
		p.send(uxFrame{id: id, typ: uxTypeResponse, data: uxEncode(&ttrpc.Response{Payload: uxEncode(uxText(text))})})
	}
	for i := range 30 {
		ctx, cancel := context.WithCancel(context.Background())
		result := uxHang(ctx, client)
		late := p.recv().id
		cancel()
		if err := <-result; err != context.Canceled {
			t.Fatalf("the call returned %v", err)
		}
		if i%2 == 0 {
			answer(late, "late")
		}
		for j := range 100 {
			text := make(chan string, 1)
			go func() {
				out, err := uxCall(context.Background(), client, "echo", "")
				text <- fmt.Sprint(out, err)
			}()
			want := fmt.Sprint(i, j)
			answer(p.recv().id, want)
			if got := <-text; got != want+"<nil>" {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
}

// On a conn of the user's own no deadline is ever set: it may know none.
func TestP41CancelSetsNoDeadlineOnUsersConn(t *testing.T) {
	mine, theirs := net.Pipe()
	defer theirs.Close()
	conn := &uxDeadlines{mine, make(chan time.Time, 1000)}
	p := &uxRaw{theirs, t}
	requests := make(chan uxFrame, 100)
	go func() {
		for {
			f, err := p.receive()
			if err != nil {
				return
			}
			requests <- f
		}
	}()
	client := ttrpc.NewClient(conn)
	defer client.Close()
	for range 30 {
		uxCancelled(t, client, requests)
	}
	select {
	case at := <-conn.set:
		t.Errorf("a read deadline was set, %v", at)
	default:
	}
}
