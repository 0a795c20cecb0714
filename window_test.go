//go:build go1.25

package ttrpc

import (
	"fmt"
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// A consumer that waits still waits when Data without a message has come: a stream that is stopped
// then may send one all the same.
func TestWindowOfAConsumerThatWaits(t *testing.T) {
	ext := new(extensions)
	ext.set(extKnown)
	b := &budget{connLimit: 1 << 20, window: 1 << 10, ext: ext}
	w := new(recvWindow)
	if due := w.want(b); due.due {
		t.Error(due)
	}
	w.pass(b, 10)
	if due := w.restrain(b); due != (limitDue{11, true}) {
		t.Error(due)
	}
	if due := w.count(b, 10, 10); due.due || b.open.Load() != 0 {
		t.Error(due, b.open.Load())
	}
	if due := w.want(b); due != (limitDue{20 + 1<<10, true}) {
		t.Error(due)
	}
	w.close(b)
	if open := b.open.Load(); open != 0 {
		t.Error(open)
	}
}

// counted is a call in flight that counts how often it is looked at.
type counted struct{ looks int }

func (c *counted) receiver() *stream { c.looks++; return new(stream) }

// Limits with which streams begin, and GoAways, cost no look at each call: a server may send them
// without end.
func TestFloodOfLimitsAndGoAways(t *testing.T) {
	c := new(Client)
	call := new(counted)
	for id := range uint32(100) {
		c.registerLocked(2*id+1, call)
	}
	for i := range 100 {
		limit := []uint64{0, noLimit, 5, 3}[i%4]
		h := wire.ParseHeader(wire.WindowFrame(0, limit).Bytes())
		c.handleLimit(&transport.Inbound{Header: h, Raw: wire.WindowFrame(0, limit).Bytes()})
	}
	equal(t, call.looks, 0)
	equal(t, len(c.dropAbove(180)), 10)
	equal(t, call.looks, 10)
	c.registerLocked(185, call) // which no client does: looked at, it would be dropped
	for last := uint32(179); last < 300; last++ {
		equal(t, len(c.dropAbove(last)), 0)
	}
	equal(t, len(c.dropAbove(178)), 2)
}

// A stream has the limit with which streams begin until it is told one of its own, or that limit is
// lifted: a later one is for later streams.
func TestLimitWithWhichStreamsBegin(t *testing.T) {
	var first *firstLimit
	var free, held, own, later sendWindow
	free.begin(first)
	first = first.next(10)
	held.begin(first)
	own.begin(first)
	for _, w := range []*sendWindow{&free, &held, &own} {
		w.sent = 10
	}
	own.raise(5)
	equal(t, own.isShut(), true)
	first = first.next(0)
	own.raise(11)
	_, moved := held.changes()
	equal(t, [...]bool{free.isShut(), held.isShut(), own.isShut()}, [...]bool{false, true, false})
	first = first.next(noLimit)
	<-moved
	equal(t, [...]bool{free.isShut(), held.isShut(), own.isShut()}, [...]bool{false, false, false})
	first = first.next(0)
	later.begin(first)
	equal(t, [...]bool{held.isShut(), later.isShut()}, [...]bool{false, true})
	held.raise(3)
	equal(t, held.isShut(), true)
}

// All that can happen to a sending half, in all orders: the states change as the table above
// sendState says, and it is shut by the highest limit of its own, or by the one it began with.
func TestSendWindowStates(t *testing.T) {
	const sent = 10
	edges := map[string]bool{}
	for _, begins := range []uint64{noLimit, 1, 20} {
		sequences([]string{"told 1", "told 20", "told none", "begin 1", "begin 20", "begin none", "CloseSend"}, 5, func(events []string) {
			var first *firstLimit
			first = first.next(begins)
			w := &sendWindow{sent: sent}
			w.begin(first)
			began, own := begins, []uint64(nil) // what the limits are, without states
			closed := false
			for _, event := range events {
				before := w.state
				limit := map[string]uint64{"told 1": 1, "told 20": 20, "begin 1": 1, "begin 20": 20}[event]
				switch event {
				case "told none", "begin none":
					limit = noLimit
				}
				switch event[:4] {
				case "told":
					if w.raise(limit); own == nil && (began != noLimit || closed) {
						own = []uint64{began}
					}
					own = append(own, limit)
				case "begi":
					held := own == nil && first != nil && w.first == first
					if first = first.next(limit); held {
						began = limit
					}
				default:
					w.close()
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
			if w.isShut() != (sent >= holds) || (w.state == sendClosed) != closed {
				t.Fatalf("begun with %d, after %q: shut %v in state %d", begins, events, w.isShut(), w.state)
			}
		})
	}
	table := map[string]bool{}
	for _, edge := range [][2]sendState{{sendFree, sendTold}, {sendFree, sendClosed}, {sendTold, sendClosed}} {
		table[fmt.Sprintf("%d %d", edge[0], edge[1])] = true
	}
	equalEdges(t, edges, table)
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
