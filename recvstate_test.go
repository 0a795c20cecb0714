//go:build go1.25

package ttrpc

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// recvWorld is the receiving half of a call after some events, and what is known of it.
type recvWorld struct {
	t     *testing.T
	s     *stream
	flow  *flow.Inflow
	put   int // bytes that were pushed before the end
	taken int // bytes that the consumer has taken
	err   error
}

var (
	errFirst  = errors.New("the first")
	errSecond = errors.New("the second")
)

// recvKinds are the receiving halves that there are.
var recvKinds = map[string]func(*flow.Inflow) *stream{
	"unary":           func(*flow.Inflow) *stream { return &stream{ready: make(chan struct{}, 1)} },
	"client's stream": func(fl *flow.Inflow) *stream { return halfOf(fl, recvEnded) },
	"server's stream": func(fl *flow.Inflow) *stream { return halfOf(fl, recvDiscarded) },
}

func halfOf(fl *flow.Inflow, until recvState) *stream {
	return &stream{ready: make(chan struct{}, 1), kind: callBidi, countUntil: until, flow: fl}
}

// recvEvents are what can happen to a half, by the names in recvState's table. Some can happen in
// some cases only, which they report.
var recvEvents = map[string]func(*recvWorld) bool{
	"push": func(w *recvWorld) bool {
		raw := data(1, 0, "one")
		if w.s.flow == nil {
			return false
		}
		open := w.s.state == recvOpen
		ok, _ := w.s.push(&transport.Inbound{Header: wire.ParseHeader(raw), Raw: raw})
		testkit.Equal(w.t, ok, true)
		if open {
			w.put += len(raw)
		}
		return true
	},
	"take": func(w *recvWorld) bool {
		if w.s.refill() != nil {
			return false
		}
		n := w.s.cur.Len()
		w.s.cur.Free()
		w.s.cur = nil
		w.taken += n
		w.s.taken(n)
		return true
	},
	"end in order": func(w *recvWorld) bool { w.s.closeRecv(nil, nil); return true },
	"end by error": func(w *recvWorld) bool {
		if w.s.state == recvOpen {
			w.err = errFirst
		}
		w.s.closeRecv(nil, errFirst)
		return true
	},
	"end with a Response": func(w *recvWorld) bool { w.s.closeRecv(wire.EndFrame(), nil); return true },
	"takeReply": func(w *recvWorld) bool {
		if w.s.refill() != errAnswered {
			return false
		}
		w.s.reply.Free()
		w.s.reply = nil
		w.s.state.takeReply()
		return true
	},
	"discard": func(w *recvWorld) bool {
		if w.s.state == recvReplied || w.s.state == recvAnswered {
			return false // who has claimed the call has ended it so
		}
		if w.err == nil {
			w.err = errSecond
		}
		w.s.discard(errSecond)
		return true
	},
}

// check wants what has to hold in every world.
func (w *recvWorld) check(after []string) {
	w.t.Helper()
	s := w.s
	counted := 0
	if s.state < s.countUntil {
		counted = w.put - w.taken
	}
	end := io.EOF
	if w.err != nil {
		end = w.err
	}
	want := map[recvState]error{recvOpen: errNothingYet, recvReplied: errAnswered}[s.state]
	if want == nil {
		want = end
	}
	if left := w.put - w.taken; left > 0 && s.state != recvDiscarded {
		want = nil
	}
	got := s.peek()
	faults := map[string]bool{
		"bytes are miscounted":       s.flow != nil && w.flow.Buffered() != counted,
		"there is a reply, or none":  (s.reply != nil) != (s.state == recvReplied),
		"isEnded is wrong":           s.isEnded() != (s.state != recvOpen),
		"a discarded half has bytes": s.state == recvDiscarded && s.inbox.Bytes() > 0,
		fmt.Sprintf("next: %v", got): got != want,
		"the sender may still send":  s.state != recvOpen && s.incoming.Open() != 0,
		"an end did not wake":        s.state != recvOpen && len(s.ready) == 0,
		"the window is open, or not": s.flow != nil && (s.incoming.IsClosed()) != (s.state != recvOpen),
	}
	for fault, is := range faults {
		if is {
			w.t.Fatalf("after %q, in state %d: %s", after, s.state, fault)
		}
	}
}

// peek is what refill would return.
func (s *stream) peek() error {
	if s.inbox.Bytes() > 0 {
		return nil
	}
	return s.refill()
}

// All that can happen to a receiving half, in all orders: the states change as the table above
// recvState says, the connection's count is right, and the consumer hears of the first end.
func TestRecvStateModel(t *testing.T) {
	edges := map[string]bool{}
	for _, make := range recvKinds {
		explore(t, make, nil, edges)
	}
	table := map[string]bool{}
	for _, edge := range []struct {
		from  recvState
		event string
		to    recvState
	}{
		{recvOpen, "end in order", recvEnded},
		{recvOpen, "end by error", recvEnded},
		{recvOpen, "end with a Response", recvReplied},
		{recvReplied, "takeReply", recvAnswered},
		{recvOpen, "discard", recvDiscarded},
		{recvEnded, "discard", recvDiscarded},
	} {
		table[fmt.Sprintf("%d %s %d", edge.from, edge.event, edge.to)] = true
	}
	equalEdges(t, edges, table)
}

// equalEdges compares the changes of a state that have been seen with those of its table.
func equalEdges(t *testing.T, seen, table map[string]bool) {
	t.Helper()
	for edge := range seen {
		if !table[edge] {
			t.Errorf("%s is not in the table", edge)
		}
	}
	for edge := range table {
		if !seen[edge] {
			t.Errorf("%s is in the table, and never happens", edge)
		}
	}
}

const modelEvents = 5 // in a row at the most

// explore plays the events so far, and each that can follow.
func explore(t *testing.T, half func(*flow.Inflow) *stream, events []string, edges map[string]bool) {
	for event, do := range recvEvents {
		w := play(t, half, events)
		before := w.s.state
		after := append(slices.Clone(events), event)
		if !do(w) {
			continue
		}
		if w.s.state != before {
			edges[fmt.Sprintf("%d %s %d", before, event, w.s.state)] = true
		}
		w.check(after)
		if len(after) < modelEvents {
			explore(t, half, after, edges)
		}
	}
}

func play(t *testing.T, half func(*flow.Inflow) *stream, events []string) *recvWorld {
	l := defaultServerConfig().limits
	fl := new(flow.Inflow)
	ext := new(peer.Extensions)
	ext.Init(peer.Known)
	fl.Init(l.streamBuffer, l.connBuffer, l.streamWindow, ext)
	w := &recvWorld{t: t, s: half(fl), flow: fl}
	for _, event := range events {
		recvEvents[event](w)
	}
	return w
}
