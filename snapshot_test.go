//go:build go1.25

package ttrpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
)

// brief is what a snapshot has, without addresses and ages.
func brief(s ttrpc.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s[", s.State)
	for _, c := range s.Conns {
		fmt.Fprintf(&b, "%s %s %d %d", c.State, c.Extensions, c.Unread, c.Handlers)
		for _, call := range c.Calls {
			fmt.Fprintf(&b, " (%d %s %s %s %v", call.ID, strings.TrimPrefix(call.Method, "/"+svc+"/"), call.Kind, call.State, !call.Since.IsZero())
			if st := call.Stream; st != nil {
				fmt.Fprintf(&b, " ended=%v %d %v/%v", st.Ended, st.Unread, st.Sent, st.Received)
			}
			b.WriteString(")")
		}
	}
	return b.String() + "]"
}

func TestSnapshotShowsCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, stats := newGate(), newStatsLog()
		r := onPipe(t, withMethod("wait", g.unary()), withStream("stuck", g.stream()), ttrpc.WithClientStats(stats))
		equal(t, brief(r.Snapshot()), "[]")
		began := time.Now()
		c := pipeClient(t, r, r.clientOpts...)
		synctest.Wait()
		equal(t, brief(r.Snapshot()), "[open unknown 0 0]")
		equal(t, brief(c.Snapshot()), "[open unknown 0 0]")

		held := goCall(bg, c, "wait", "one")
		<-g.started
		elapse(time.Minute)
		cs := open(t, bg, c, both, "stuck", nil)
		<-g.started
		check(t, cs.SendMsg(text("hello"))) // 7 bytes, and the header; the end is a header more
		check(t, cs.CloseSend())
		synctest.Wait()
		equal(t, brief(r.Snapshot()), "[open unknown 17 2 (1 wait unary running true) (3 stuck bidi stream running true ended=true 17 0/27)]")
		equal(t, brief(c.Snapshot()), "[open unknown 0 0 (1 wait unary waiting true) (3 stuck bidi stream open true ended=false 0 27/0)]")
		for _, s := range []ttrpc.Snapshot{r.Snapshot(), c.Snapshot()} {
			equal(t, s.Conns[0].Since.Equal(began), true)
			equal(t, s.Conns[0].Calls[0].Since.Equal(began), true)
			equal(t, s.Time.Sub(s.Conns[0].Calls[1].Since), 0)
		}
		text := r.Snapshot().String()
		for _, part := range []string{
			": open for 1m0s, extensions unknown, 17 bytes unread, 0 to be written, 2 calls\n",
			"\t#1 /" + svc + "/wait: unary, running for 1m0s\n",
			"\t#3 /" + svc + "/stuck: bidi stream, running for 0s, 17 bytes unread, sent 0, received 27 and the last\n",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in\n%s", part, text)
			}
		}
		g.open()
		check(t, <-held)
		wantTexts(t, cs, "hello")
		wantEcho(t, c) // whose request tells that the client knows extensions
		synctest.Wait()
		equal(t, brief(r.Snapshot()), "[open known 0 0]")
		equal(t, brief(c.Snapshot()), "[open known 0 0]")
		c.Close()
		synctest.Wait()
		equal(t, brief(r.Snapshot()), "[]")
		equal(t, brief(c.Snapshot()), "[closed known 0 0]")
	})
}

// A stream under flow control, of a peer that knows extensions, and a call of a server that drains.
func TestSnapshotOfWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, ttrpc.WithServerStreamWindow(1000))
		c := pipeClient(t, r)
		wantEcho(t, c)
		ctx, cancel := context.WithCancel(bg)
		cs := open(t, ctx, c, both, "mute", nil)
		sent := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = cs.SendMsg(text(strings.Repeat("x", 100)))
			}
			sent <- err
		}()
		synctest.Wait()
		go r.Shutdown(bg)
		synctest.Wait()
		server, client := r.Snapshot().Conns[0], c.Snapshot().Conns[0]
		equal(t, server.State, "draining")
		equal(t, client.State, "draining")
		in, out := server.Calls[0].Stream, client.Calls[0].Stream
		equal(t, in.Received.Limited, true)
		equal(t, out.Sent.Limited, true)
		equal(t, out.Sent, in.Received)
		equal(t, out.Sent.Bytes >= out.Sent.Limit, true)
		equal(t, in.Unread, int(in.Received.Bytes))
		cancel()
		<-sent
	})
}

func TestSnapshotOfDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		c := p.client()
		equal(t, brief(c.Snapshot()), "Idle[]")
		p.set(onPipe(t))
		wantEcho(t, c)
		cs := open(t, bg, c, down, "list", text("1"))
		synctest.Wait()
		wantTexts(t, cs, "0")
		equal(t, brief(c.Snapshot()), "Ready[open known 0 0]")
		c.Close()
		synctest.Wait()
		equal(t, brief(c.Snapshot()), "Closed[]")
	})
}

// Its JSON can be read back, and lists that are empty are none the less lists.
func TestSnapshotJSON(t *testing.T) {
	r := serve(t)
	c := r.client()
	cs := open(t, bg, c, both, "chat", nil)
	check(t, cs.SendMsg(text("x")))
	wantNext(t, cs, "x")
	for _, s := range []ttrpc.Snapshot{r.Snapshot(), c.Snapshot()} {
		b, err := json.Marshal(s)
		check(t, err)
		var back ttrpc.Snapshot
		check(t, json.Unmarshal(b, &back))
		again, err := json.Marshal(back)
		check(t, err)
		equal(t, string(again), string(b))
		equal(t, strings.Contains(string(b), `"kind":"bidi stream"`), true)
		equal(t, s.Conns[0].Peer != "", true)
	}
	idle, err := ttrpc.NewServer()
	check(t, err)
	b, err := json.Marshal(idle.Snapshot())
	check(t, err)
	equal(t, strings.Contains(string(b), `"conns":[]`), true)
}

// Snapshots while calls come and go: one for each call, so that whoever makes calls is not starved.
func TestRaceSnapshot(t *testing.T) {
	r := serve(t)
	var all sync.WaitGroup
	for range 3 {
		c, begun := r.client(), make(chan struct{}, 1)
		all.Go(func() {
			defer close(begun)
			for range 200 {
				begun <- struct{}{}
				wantEcho(t, c)
				wantTexts(t, open(t, bg, c, down, "list", text("1")), "0")
			}
		})
		all.Go(func() {
			for range begun {
				_ = r.Snapshot().String() + c.Snapshot().String()
			}
		})
	}
	all.Wait()
}
