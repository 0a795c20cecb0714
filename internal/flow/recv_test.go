//go:build go1.25

package flow

import (
	"maps"
	"testing"
)

// All that can happen to what a receiver tells its sender, in all orders: the states change as the
// table above windowState says, no limit is below one before, the inflow knows what may still come,
// and a consumer that waits for a message can be sent one.
func TestRecvWindowStates(t *testing.T) {
	const window, frame = 40, 15
	edges := map[string]bool{}
	names := map[windowState]string{windowFree: "free", windowWanted: "wanted", windowTold: "told", windowClosed: "closed"}
	sequences([]string{"waits", "comes", "passes", "taken", "crowded", "closes"}, 6, func(events []string) {
		fl, w := new(Inflow), new(RecvWindow)
		fl.Init(1<<10, 1<<10, window, known{})
		limit, unread := uint64(0), 0
		for _, event := range events {
			before, due := w.state, Limit{}
			switch event {
			case "waits":
				if unread > 0 {
					return // it takes that
				}
				if due = w.Want(fl); w.state == windowTold && w.Open() == 0 {
					t.Fatalf("after %q, of %q: nothing may be sent", event, events)
				}
			case "comes":
				unread += frame
				due = w.Count(fl, unread, frame)
			case "passes":
				w.Pass(fl, frame)
			case "taken":
				unread = max(unread-frame, 0)
				due = w.Renew(fl, unread)
			case "crowded":
				fl.crowded.Store(true)
				due = w.Restrain(fl)
			default:
				w.Close(fl)
			}
			if due.Due && (due.Bytes < limit || w.state != windowTold) || fl.open.Load() != w.Open() {
				t.Fatalf("after %q, of %q: told %d behind %d, %d are open, of %d", event, events, due.Bytes, limit, w.Open(), fl.open.Load())
			}
			limit = max(limit, due.Bytes)
			if w.state != before {
				edges[names[before]+" "+names[w.state]] = true
			}
		}
	})
	table := map[string]bool{
		"free wanted": true, "wanted free": true, "free told": true, "wanted told": true,
		"free closed": true, "wanted closed": true, "told closed": true,
	}
	if !maps.Equal(edges, table) {
		t.Errorf("the states have changed by %v, the table has %v", edges, table)
	}
}
