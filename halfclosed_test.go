//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Data that closes, and Data that is nothing, are nothing for a half that is closed already: only a
// message is a mistake there.
func TestP35ClosedHalfIsClosedAgain(t *testing.T) {
	closing, nothing := rawFrame{id: 5, typ: 3, flags: 5}, rawFrame{id: 5, typ: 3, flags: 4}
	unknown := rawFrame{id: 5, typ: 3, flags: 0x85} // flags that nobody knows change nothing
	for name, extra := range map[string][]rawFrame{
		"once": {}, "closed again": {closing}, "closed often": {closing, closing, closing},
		"nothing": {nothing}, "both": {nothing, closing, nothing}, "unknown flags": {unknown},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			p := halfClosed(t, release)
			p.send(requestWith(5, 6, "up", nil), rawFrame{id: 5, typ: 3, data: encode(text("one"))}, closing)
			p.send(extra...)
			// Its answer says that all before it was handled.
			p.send(requestWith(7, 0, "echo", text("in between")))
			equal(t, p.recv().id, uint32(7))
			close(release)
			p.wantData(5, "one")
			if f := p.recv(); f.id != 5 || f.typ != 3 || f.flags != 5 || len(f.data) != 0 {
				t.Fatalf("got %v, want the end of the stream", f)
			}
		})
	}
}

// The same holds for a half that the method has closed by its kind: the client of one that does not
// stream.
func TestP35HalfThatNeverWasOpenIsClosed(t *testing.T) {
	release := make(chan struct{})
	p := halfClosed(t, release)
	closing := rawFrame{id: 5, typ: 3, flags: 5}
	p.send(requestWith(5, 1, "down", text("one")), closing, closing, rawFrame{id: 5, typ: 3, flags: 4})
	p.send(requestWith(7, 0, "echo", text("in between")))
	equal(t, p.recv().id, uint32(7))
	close(release)
	p.wantData(5, "one")
	if f := p.recv(); f.id != 5 || f.typ != 3 || f.flags != 5 || len(f.data) != 0 {
		t.Fatalf("got %v, want the end of the stream", f)
	}
}

// A message stays a mistake, also an empty one, and one that would close.
func TestP35MessageForAClosedHalf(t *testing.T) {
	for name, late := range map[string]rawFrame{
		"message": data(5, 0, "late"), "empty": {id: 5, typ: 3}, "empty that closes": {id: 5, typ: 3, flags: 1},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			p := halfClosed(t, release)
			p.send(requestWith(5, 6, "up", nil), rawFrame{id: 5, typ: 3, flags: 5}, late)
			p.wantStatus(5, codes.InvalidArgument, "data handling error: ttrpc: stream closed")
		})
	}
}

// halfClosed is a peer of a server whose streams "up" and "down" wait for release, and then send
// back what they receive.
func halfClosed(t *testing.T, release <-chan struct{}) *rawPeer {
	back := func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
		select {
		case <-release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		for {
			m := new(wrapperspb.StringValue)
			if err := ss.RecvMsg(m); errors.Is(err, io.EOF) {
				return nil, nil
			} else if err != nil {
				return nil, err
			}
			if err := ss.SendMsg(m); err != nil {
				return nil, err
			}
		}
	}
	one := func(ctx context.Context, ss ttrpc.StreamServer) (any, error) {
		select {
		case <-release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		m := new(wrapperspb.StringValue)
		if err := ss.RecvMsg(m); err != nil {
			return nil, err
		}
		return nil, ss.SendMsg(m)
	}
	desc := serviceOf(nil, map[string]ttrpc.StreamHandler{"up": back})
	desc.Streams["down"] = ttrpc.Stream{Handler: one, StreamingServer: true}
	_, l := serveOn(t, nil, desc)
	return newRawPeer(t, dial(t, l))
}
