//go:build go1.25

package recv

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// world is the receiving half of a call after some events, and what is known of it.
type world struct {
	t     *testing.T
	h     *Half
	flow  *flow.Inflow
	put   int // bytes that were pushed before the end
	taken int // bytes that the consumer has done with
	err   error
}

var (
	errFirst  = errors.New("the first")
	errSecond = errors.New("the second")
)

// kinds are the receiving halves that there are.
var kinds = map[string]func(*Half, *flow.Inflow){
	"unary":           func(h *Half, _ *flow.Inflow) { h.Init() },
	"client's stream": func(h *Half, fl *flow.Inflow) { h.InitStream(fl, UntilEnded) },
	"server's stream": func(h *Half, fl *flow.Inflow) { h.InitStream(fl, UntilDiscarded) },
}

// events are what can happen to a half, by the names in state's table. Some can happen in some
// cases only, which they report.
var events = map[string]func(*world) bool{
	"push": func(w *world) bool {
		if w.h.inflow == nil {
			return false
		}
		more := !w.h.IsEnded()
		in := message("one")
		ok, _ := w.h.Push(in)
		if testkit.Equal(w.t, ok, true); more {
			w.put += len(in.Raw)
		}
		return true
	},
	"take": func(w *world) bool {
		_, data, err := w.h.Next()
		if err != nil {
			return false
		}
		testkit.Equal(w.t, string(data), "one")
		n := w.h.cur.Len()
		if room, _ := w.h.Release(); room {
			w.taken += n
		}
		return true
	},
	"end in order": func(w *world) bool { w.h.End(nil, nil); return true },
	"end by error": func(w *world) bool {
		if w.h.End(nil, errFirst) {
			w.err = errFirst
		}
		return true
	},
	"end with a Response": func(w *world) bool { w.h.End(wire.EndFrame(), nil); return true },
	"takeReply": func(w *world) bool {
		if _, _, err := w.h.Next(); err != ErrAnswered {
			return false
		}
		w.h.TakeReply().Free()
		return true
	},
	"discard": func(w *world) bool {
		if w.h.state == replied || w.h.state == answered {
			return false // who has claimed the call has ended it so
		}
		if w.err == nil {
			w.err = errSecond
		}
		w.h.Discard(errSecond)
		return true
	},
}

// check wants what has to hold in every world.
func (w *world) check(after []string) {
	w.t.Helper()
	h := w.h
	counted := 0
	if h.state < state(h.until) {
		counted = w.put - w.taken
	}
	end := io.EOF
	if w.err != nil {
		end = w.err
	}
	want := map[state]error{open: ErrNothingYet, replied: ErrAnswered}[h.state]
	if want == nil {
		want = end
	}
	if h.cur != nil || w.put > w.taken && h.state != discarded {
		want = nil
	}
	got := h.peek()
	faults := map[string]bool{
		"bytes are miscounted":       h.inflow != nil && w.flow.Buffered() != counted,
		"there is a reply, or none":  (h.reply != nil) != (h.state == replied),
		"IsEnded is wrong":           h.IsEnded() != (h.state != open),
		"Failure is wrong":           h.Failure() != w.err,
		"a discarded half has bytes": h.state == discarded && h.inbox.Bytes() > 0,
		fmt.Sprintf("next: %v", got): got != want,
		"the sender may still send":  h.state != open && h.window.Open() != 0,
		"an end did not wake":        h.state != open && !h.HasWake(),
		"the window is open, or not": h.inflow != nil && (h.window.IsClosed()) != (h.state != open),
	}
	for fault, is := range faults {
		if is {
			w.t.Fatalf("after %q, in state %d: %s", after, h.state, fault)
		}
	}
}

// peek is the error that Next would return.
func (h *Half) peek() error {
	if h.cur != nil || h.inbox.Bytes() > 0 {
		return nil
	}
	return h.refill()
}

// All that can happen to a receiving half, in all orders: the states change as the table above
// state says, the connection's count is right, and the consumer hears of the first end.
func TestStateModel(t *testing.T) {
	edges := map[string]bool{}
	for _, init := range kinds {
		explore(t, init, nil, edges)
	}
	table := map[string]bool{}
	for _, edge := range []struct {
		from  state
		event string
		to    state
	}{
		{open, "end in order", ended},
		{open, "end by error", ended},
		{open, "end with a Response", replied},
		{replied, "takeReply", answered},
		{open, "discard", discarded},
		{ended, "discard", discarded},
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

// explore plays what has happened so far, and each event that can follow.
func explore(t *testing.T, init func(*Half, *flow.Inflow), so []string, edges map[string]bool) {
	for event, do := range events {
		w := play(t, init, so)
		before := w.h.state
		after := append(slices.Clone(so), event)
		if !do(w) {
			continue
		}
		if w.h.state != before {
			edges[fmt.Sprintf("%d %s %d", before, event, w.h.state)] = true
		}
		w.check(after)
		if len(after) < modelEvents {
			explore(t, init, after, edges)
		}
	}
}

func play(t *testing.T, init func(*Half, *flow.Inflow), so []string) *world {
	fl := newInflow(1<<20, 1<<20, true)
	w := &world{t: t, h: new(Half), flow: fl}
	init(w.h, fl)
	for _, event := range so {
		events[event](w)
	}
	return w
}
