//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// largeBytes is a message that is one large bytes field, different for each n.
func largeBytes(n int) *wrapperspb.BytesValue {
	return wrapperspb.Bytes(bytes.Repeat([]byte{byte('a' + n%26)}, 100_000))
}

// kept checks that messages which were received one after the other have what was sent: none has
// got memory that others are received in, whatever is appended to it.
func kept(t *testing.T, list []*wrapperspb.BytesValue) {
	t.Helper()
	for n, m := range list {
		equal(t, cap(m.Value), len(m.Value))
		if !bytes.Equal(m.Value, largeBytes(n).Value) {
			t.Fatalf("message %d of %d has changed", n, len(list))
		}
	}
}

const manyLarge = 60

func TestLargeMessagesOfCallsAreTheReceivers(t *testing.T) {
	c := benchClient(t, withMethod("bytes", echoBytes))
	var list []*wrapperspb.BytesValue
	for n := range manyLarge {
		m := new(wrapperspb.BytesValue)
		check(t, c.Call(bg, svc, "bytes", largeBytes(n), m))
		list = append(list, m)
	}
	kept(t, list)
}

// Small messages come behind the large ones, in the same buffers.
func TestLargeMessagesOfStreamsAreTheReceivers(t *testing.T) {
	var served []*wrapperspb.BytesValue
	c := benchClient(t, withStream("collect", bidi(func(_ context.Context, ss ttrpc.StreamServer) error {
		for range manyLarge {
			m, next := new(wrapperspb.BytesValue), new(wrapperspb.BytesValue)
			if err := errors.Join(ss.RecvMsg(m), ss.RecvMsg(next), ss.SendMsg(m), ss.SendMsg(next)); err != nil {
				return err
			}
			served = append(served, m)
		}
		return nil
	})))
	cs := open(t, bg, c, both, "collect", nil)
	go func() {
		for n := range manyLarge {
			_ = cs.SendMsg(largeBytes(n))
			_ = cs.SendMsg(wrapperspb.Bytes([]byte("small")))
		}
	}()
	var list []*wrapperspb.BytesValue
	for range manyLarge {
		m, next := new(wrapperspb.BytesValue), new(wrapperspb.BytesValue)
		check(t, cs.RecvMsg(m))
		check(t, cs.RecvMsg(next))
		equal(t, string(next.Value), "small")
		list = append(list, m)
	}
	equal(t, cs.RecvMsg(new(message)), io.EOF) // the handler has returned
	kept(t, list)
	kept(t, served)
}

// A method may decode its request twice, and change the first message in between, as with all
// releases.
func TestLargeRequestIsDecodedTwice(t *testing.T) {
	c := benchClient(t, withMethod("twice", func(_ context.Context, unmarshal func(any) error) (any, error) {
		first, second := new(wrapperspb.BytesValue), new(wrapperspb.BytesValue)
		err := unmarshal(first)
		clear(first.Value)
		return second, errors.Join(err, unmarshal(second))
	}))
	m := new(wrapperspb.BytesValue)
	check(t, c.Call(bg, svc, "twice", largeBytes(0), m))
	kept(t, []*wrapperspb.BytesValue{m})
}
