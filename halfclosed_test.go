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
	closing, nothing := sfFrame{5, 3, 5, nil}, sfFrame{5, 3, 4, nil}
	unknown := sfFrame{5, 3, 0x85, nil} // flags that nobody knows change nothing
	for name, extra := range map[string][]sfFrame{
		"once": {}, "closed again": {closing}, "closed often": {closing, closing, closing},
		"nothing": {nothing}, "both": {nothing, closing, nothing}, "unknown flags": {unknown},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			p := sfHalfClosed(t, release)
			p.send(sfRequest(5, 6, "up", nil), sfFrame{5, 3, 0, sfEncode(sfText("one"))}, closing)
			p.send(extra...)
			// Its answer says that all before it was handled.
			p.send(sfRequest(7, 0, "echo", sfText("in between")))
			sfEqual(t, p.recv().id, uint32(7))
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
	p := sfHalfClosed(t, release)
	closing := sfFrame{5, 3, 5, nil}
	p.send(sfRequest(5, 1, "down", sfText("one")), closing, closing, sfFrame{5, 3, 4, nil})
	p.send(sfRequest(7, 0, "echo", sfText("in between")))
	sfEqual(t, p.recv().id, uint32(7))
	close(release)
	p.wantData(5, "one")
	if f := p.recv(); f.id != 5 || f.typ != 3 || f.flags != 5 || len(f.data) != 0 {
		t.Fatalf("got %v, want the end of the stream", f)
	}
}

// A message stays a mistake, also an empty one, and one that would close.
func TestP35MessageForAClosedHalf(t *testing.T) {
	for name, late := range map[string]sfFrame{
		"message": {5, 3, 0, sfEncode(sfText("late"))}, "empty": {5, 3, 0, nil}, "empty that closes": {5, 3, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			defer close(release)
			p := sfHalfClosed(t, release)
			p.send(sfRequest(5, 6, "up", nil), sfFrame{5, 3, 5, nil}, late)
			p.wantStatus(5, codes.InvalidArgument, "data handling error: ttrpc: stream closed")
		})
	}
}

// sfHalfClosed is a peer of a server whose streams "up" and "down" wait for release, and then send
// back what they receive.
func sfHalfClosed(t *testing.T, release <-chan struct{}) *sfPeer {
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
	desc := sfDesc(nil, map[string]ttrpc.StreamHandler{"up": back})
	desc.Streams["down"] = ttrpc.Stream{Handler: one, StreamingServer: true}
	_, l := sfServe(t, nil, desc)
	return newSfPeer(t, sfDial(t, l))
}
