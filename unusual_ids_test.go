//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
)

const (
	uxReused = "StreamID cannot be re-used and must increment"
	uxGone   = "StreamID is no longer active"

	// uxGapsKept is how many ranges of skipped ids a server remembers for a connection at the
	// least.
	uxGapsKept = 64
)

// serves makes a call of an id, which has to be served.
func (p *uxRaw) serves(ids ...uint32) {
	p.t.Helper()
	for _, id := range ids {
		p.send(uxRequest(id, "echo", fmt.Sprint(id)))
		p.want(uxAnswer(id, fmt.Sprint(id)))
	}
}

// refuses makes a call of an id, which has to be refused as one that was used.
func (p *uxRaw) refuses(ids ...uint32) {
	p.t.Helper()
	for _, id := range ids {
		p.send(uxRequest(id, "echo", "again"))
		p.want(uxRefusal(id, codes.InvalidArgument, uxReused))
	}
}

// Clients whose concurrent calls write their Requests as they come have ids that do not increase on
// the wire: an id that was skipped is served, once.
func TestP24SkippedIdsAreServedOnce(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(1, 5, 3)
	p.refuses(3, 1, 5)
	p.serves(7)
	p.refuses(3, 7)
}

func TestP24FirstIdsMayBeSkipped(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(7, 3, 1, 5)
	p.refuses(1, 3, 5, 7)
	p.serves(9)
}

// Taking ids out of a gap's head, end and middle leaves what is between them, and nothing else.
func TestP24GapsAreCut(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(101, 1, 99, 49, 51, 3, 97, 47, 53)
	p.refuses(1, 3, 47, 49, 51, 53, 97, 99, 101)
	for id := uint32(5); id < 47; id += 2 {
		p.serves(id)
	}
	for id := uint32(95); id > 53; id -= 2 {
		p.serves(id)
	}
	for id := uint32(1); id <= 101; id += 2 {
		p.refuses(id)
	}
	p.serves(103)
}

// A call in flight has taken its id as one that has ended has.
func TestP24SkippedIdInFlight(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(1, 5)
	p.send(uxOpening(3, "chat"), uxRequest(3, "echo", "again"))
	p.want(uxRefusal(3, codes.InvalidArgument, uxReused))
	p.send(uxData(3, "still there"), uxFrame{id: 3, typ: uxTypeData, flags: 5})
	p.want(fmt.Sprintf("id 3: data, flags 0, %d bytes", len(uxData(3, "still there").data)), "id 3: data, flags 5, 0 bytes")
	p.refuses(3)
}

// Streams with ids out of order live beside each other, and Data finds its stream.
func TestP24StreamsOutOfOrder(t *testing.T) {
	p := uxServe(t, nil).raw()
	ids := []uint32{9, 3, 7, 1, 5}
	for i, id := range ids {
		text := fmt.Sprintf("%*d", i+1, i)
		p.send(uxOpening(id, "chat"), uxData(id, text))
		p.want(fmt.Sprintf("id %d: data, flags 0, %d bytes", id, len(uxData(id, text).data)))
	}
	for _, id := range ids {
		p.send(uxFrame{id: id, typ: uxTypeData, flags: 5})
		p.want(fmt.Sprintf("id %d: data, flags 5, 0 bytes", id))
		p.send(uxData(id, "late"))
		p.want(uxRefusal(id, codes.InvalidArgument, uxGone))
	}
}

// Data does not take an id that was skipped: it is for no stream, and the Request may come yet.
func TestP25DataForSkippedId(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(5)
	p.send(uxData(3, "too early"))
	p.want(uxRefusal(3, codes.InvalidArgument, uxGone))
	p.serves(3)
}

// A Request that is answered with a fault has taken its id out of the gap; one that was dropped for
// its length has not.
func TestP55SkippedIdsOfFaults(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(9)
	p.send(uxFrame{id: 3, typ: uxTypeRequest, data: []byte{0xff}})
	if got := p.recv(); got.id != 3 || got.typ != uxTypeResponse {
		t.Fatalf("got %v", got)
	}
	p.refuses(3)
	p.send(uxRequest(5, "none", ""))
	p.want(uxRefusal(5, codes.Unimplemented, "method none"))
	p.refuses(5)
	go p.write(uxFrame{id: 7, typ: uxTypeRequest, data: make([]byte, 4<<20+1)})
	p.want(uxRefusal(7, codes.ResourceExhausted, uxLong))
	p.serves(7)
	p.refuses(7)
}

// Nor has one that was dropped for its length and whose id is above all others.
func TestP55LongRequestLeavesNoGap(t *testing.T) {
	p := uxServe(t, nil).raw()
	go p.write(uxFrame{id: 1001, typ: uxTypeRequest, data: make([]byte, 4<<20+1)})
	p.want(uxRefusal(1001, codes.ResourceExhausted, uxLong))
	p.serves(1, 1001, 3)
	p.refuses(1001)
}

// A gap of any length is one range: the ids up to the largest are kept, in no more memory than one.
func TestP24LongGapCostsNoMemory(t *testing.T) {
	p := uxServe(t, nil).raw()
	p.serves(1<<32-1, 1<<31+1, 1, 1<<32-3, 3)
	p.refuses(1<<32-1, 1<<31+1, 1, 1<<32-3, 3)
}

// What is remembered is bounded: a server that has seen many gaps knows the newest of them, and the
// ids of those that it has forgotten count as used.
func TestP24OldGapsAreForgotten(t *testing.T) {
	const gaps = 4 * uxGapsKept
	p := uxServe(t, nil).raw()
	for i := range uint32(gaps) {
		p.serves(4*i + 3) // which skips 4*i + 1
	}
	for i := range uint32(uxGapsKept) {
		p.serves(4*(gaps-1-i) + 1)
	}
	p.refuses(1, 5)
	p.serves(4*gaps + 1)
}

// A gap that is cut into many pieces is bounded as many gaps are, and keeps ids that were taken
// taken.
func TestP24PiecesOfGapsAreBounded(t *testing.T) {
	const last = 4*4*uxGapsKept + 3
	p := uxServe(t, nil).raw()
	p.serves(last)
	for id := uint32(3); id < last; id += 4 {
		p.servesOrRefuses(id)
	}
	for id := uint32(3); id <= last; id += 4 {
		p.refuses(id)
	}
	p.serves(last + 2)
}

// servesOrRefuses makes a call of an id, which is served or refused as used.
func (p *uxRaw) servesOrRefuses(id uint32) {
	p.t.Helper()
	p.send(uxRequest(id, "echo", fmt.Sprint(id)))
	got := p.recv().String()
	if got != uxAnswer(id, fmt.Sprint(id)) && got != uxRefusal(id, codes.InvalidArgument, uxReused) {
		p.t.Fatal(got)
	}
}

// A client whose ids jump is served as before.
func TestP24SkippedIdsCostNobody(t *testing.T) {
	s := uxServe(t, nil)
	p := s.raw()
	p.serves(1001, 5001, 3)
	out, err := uxCall(context.Background(), s.client(), "echo", "other")
	if out != "other" || err != nil {
		t.Fatal(out, err)
	}
}
