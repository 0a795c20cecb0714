//go:build go1.25

package flow

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// A stream has the limit with which streams begin until it is told one of its own, or that limit is
// lifted: a later one is for later streams.
func TestLimitWithWhichStreamsBegin(t *testing.T) {
	var first *FirstLimit
	var free, held, own, later SendWindow
	free.Begin(first)
	first = first.Next(10)
	held.Begin(first)
	own.Begin(first)
	for _, w := range []*SendWindow{&free, &held, &own} {
		w.sent = 10
	}
	own.Raise(5)
	testkit.Equal(t, own.IsShut(), true)
	first = first.Next(0)
	own.Raise(11)
	_, moved := held.Changes()
	testkit.Equal(t, [...]bool{free.IsShut(), held.IsShut(), own.IsShut()}, [...]bool{false, true, false})
	first = first.Next(NoLimit)
	<-moved
	testkit.Equal(t, [...]bool{free.IsShut(), held.IsShut(), own.IsShut()}, [...]bool{false, false, false})
	first = first.Next(0)
	later.Begin(first)
	testkit.Equal(t, [...]bool{held.IsShut(), later.IsShut()}, [...]bool{false, true})
	held.Raise(3)
	testkit.Equal(t, held.IsShut(), true)
}

// All that can happen to a sending half, in all orders: the states change as the table above
// sendState says, and it is shut by the highest limit of its own, or by the one it began with.
func TestSendWindowStates(t *testing.T) {
	const sent = 10
	edges := map[string]bool{}
	for _, begins := range []uint64{NoLimit, 1, 20} {
		sequences([]string{"told 1", "told 20", "told none", "begin 1", "begin 20", "begin none", "CloseSend"}, 5, func(events []string) {
			var first *FirstLimit
			first = first.Next(begins)
			w := &SendWindow{sent: sent}
			w.Begin(first)
			began, own := begins, []uint64(nil) // what the limits are, without states
			closed := false
			for _, event := range events {
				before := w.state
				limit := map[string]uint64{"told 1": 1, "told 20": 20, "begin 1": 1, "begin 20": 20}[event]
				switch event {
				case "told none", "begin none":
					limit = NoLimit
				}
				switch event[:4] {
				case "told":
					if w.Raise(limit); own == nil && (began != NoLimit || closed) {
						own = []uint64{began}
					}
					own = append(own, limit)
				case "begi":
					held := own == nil && first != nil && w.first == first
					if first = first.Next(limit); held {
						began = limit
					}
				default:
					w.Close()
					closed = true
				}
				if w.state != before {
					edges[fmt.Sprintf("%d %d", before, w.state)] = true
				}
			}
			holds := began
			if own != nil {
				holds = slices.Max(own)
			}
			if w.IsShut() != (sent >= holds) || (w.state == sendClosed) != closed {
				t.Fatalf("begun with %d, after %q: shut %v in state %d", begins, events, w.IsShut(), w.state)
			}
		})
	}
	table := map[string]bool{}
	for _, edge := range [][2]sendState{{sendFree, sendTold}, {sendFree, sendClosed}, {sendTold, sendClosed}} {
		table[fmt.Sprintf("%d %d", edge[0], edge[1])] = true
	}
	if !maps.Equal(edges, table) {
		t.Errorf("the states have changed by %v, the table has %v", edges, table)
	}
}

// sequences calls f with all that can be made of events, up to so many in a row.
func sequences(events []string, most int, f func([]string)) {
	var extend func(so []string)
	extend = func(so []string) {
		if f(so); len(so) < most {
			for _, event := range events {
				extend(append(slices.Clone(so), event))
			}
		}
	}
	extend(nil)
}
