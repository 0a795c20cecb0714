//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"google.golang.org/grpc/codes"
)

const (
	uxEven = "StreamID must be odd for client initiated streams"
	uxLong = "message length 4194305 exceed maximum message size of 4194304"
)

// refusedThenUsable sends a frame and a call behind it, so that a frame that is not answered is
// noticed by the call's answer.
func (p *uxRaw) refusedThenUsable(f uxFrame, code codes.Code, text string, next uint32) {
	p.t.Helper()
	go p.write(f, uxRequest(next, "echo", "usable"))
	p.want(uxRefusal(f.id, code, text), uxAnswer(next, "usable"))
}

// Programs probe whether a server is there with a frame of ten zero bytes: a type that is none, and
// id 0.
func TestP23TenZeroBytesAreAnswered(t *testing.T) {
	p := uxServe(t, nil).raw()
	_, err := p.Write(make([]byte, 10))
	uxCheck(t, err)
	p.send(uxRequest(1, "echo", "usable"))
	p.want(uxRefusal(0, codes.InvalidArgument, uxEven), uxAnswer(1, "usable"))
}

// The parity of an id is looked at before the type is.
func TestP23EvenIdsOfAllTypesAreAnswered(t *testing.T) {
	p := uxServe(t, nil).raw()
	next := uint32(1)
	for typ := range 256 {
		for _, id := range []uint32{0, 2, math.MaxUint32 - 1} {
			p.refusedThenUsable(uxFrame{id: id, typ: byte(typ)}, codes.InvalidArgument, uxEven, next)
			next += 2
		}
	}
}

func TestP23EvenIdsWithDataAreAnswered(t *testing.T) {
	for _, typ := range []byte{0, uxTypeRequest, uxTypeResponse, uxTypeData, 4, 255} {
		for _, n := range []int{1, 5000, 4 << 20} {
			t.Run(fmt.Sprintf("type %d, %d bytes", typ, n), func(t *testing.T) {
				f := uxFrame{id: 2, typ: typ, flags: 7, data: bytes.Repeat([]byte{0xff}, n)}
				uxServe(t, nil).raw().refusedThenUsable(f, codes.InvalidArgument, uxEven, 1)
			})
		}
	}
}

// Where a frame is over the limit, that is what is said, whatever its id and its type.
func TestP21EvenIdsOverTheLimit(t *testing.T) {
	p := uxServe(t, nil).raw()
	// Who begins with a frame over the limit whose type is unknown does not speak ttrpc.
	p.refusedThenUsable(uxFrame{id: 2}, codes.InvalidArgument, uxEven, 1)
	next := uint32(3)
	for _, typ := range []byte{0, uxTypeRequest, uxTypeResponse, uxTypeData, 4, 255} {
		for _, id := range []uint32{0, 2} {
			f := uxFrame{id: id, typ: typ, data: make([]byte, 4<<20+1)}
			p.refusedThenUsable(f, codes.ResourceExhausted, uxLong, next)
			next += 2
		}
	}
}

// An even id is no call's, and uses none up.
func TestP55EvenIdsAreNotUsed(t *testing.T) {
	p := uxServe(t, nil).raw()
	next := uint32(1)
	for _, typ := range []byte{0, uxTypeRequest, uxTypeResponse, uxTypeData} {
		p.refusedThenUsable(uxFrame{id: 1000, typ: typ}, codes.InvalidArgument, uxEven, next)
		next += 2
	}
}

// On an odd id such a frame is dropped, though it has data, and it uses no id up. (A Ping is
// answered: P67.)
func TestP4OddIdsOfOtherTypesAreIgnored(t *testing.T) {
	p := uxServe(t, nil).raw()
	for typ := range 256 {
		if typ != uxTypeRequest && typ != uxTypeData && typ != 4 {
			p.send(uxFrame{id: 99, typ: byte(typ)}, uxFrame{id: 101, typ: byte(typ), flags: 255, data: make([]byte, 5000)})
		}
	}
	p.wantUsable(1)
}
