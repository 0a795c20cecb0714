//go:build go1.25 && unix

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
)

// These tests see the library as its users do: the public API, over a unix socketpair, with
// messages whose methods are written by hand as gogo and vtprotobuf generate them.

// connect serves methods and a stream "chat" of messages that newMessage makes, at the other end of
// a client. The stream sends back what it receives.
func connect(t *testing.T, newMessage func() any, seen func(any)) *ttrpc.Client {
	t.Helper()
	s, err := ttrpc.NewServer()
	check(t, err)
	s.RegisterService("safety", &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
			m := newMessage()
			if err := unmarshal(m); err != nil {
				return nil, err
			}
			seen(m)
			return m, nil
		}},
		Streams: map[string]ttrpc.Stream{"chat": {StreamingClient: true, StreamingServer: true, Handler: func(
			_ context.Context, ss ttrpc.StreamServer,
		) (any, error) {
			for {
				m := newMessage()
				if err := ss.RecvMsg(m); errors.Is(err, io.EOF) {
					return nil, nil
				} else if err != nil {
					return nil, err
				}
				seen(m)
				if err := ss.SendMsg(m); err != nil {
					return nil, err
				}
			}
		}}},
	})
	mine, theirs := socketPair(t, unix.SOCK_STREAM)
	l := newConnListener(theirs)
	served := make(chan error, 1)
	go func() { served <- s.Serve(bg, l) }()
	c := ttrpc.NewClient(mine)
	t.Cleanup(func() {
		_ = c.Close()
		_ = s.Close()
		<-served
	})
	return c
}

func safetyChat(t *testing.T, c *ttrpc.Client) ttrpc.ClientStream {
	t.Helper()
	cs, err := c.NewStream(bg, both, "safety", "chat", nil)
	check(t, err)
	return cs
}

// roundTrip sends m and receives into out, in a unary call or on a stream.
type roundTrip func(m, out any) error

// roundTrips are both ways to roundTrip messages on one connection.
func roundTrips(t *testing.T, c *ttrpc.Client) map[string]roundTrip {
	cs := safetyChat(t, c)
	return map[string]roundTrip{
		"unary": func(m, out any) error { return c.Call(bg, "safety", "echo", m, out) },
		"stream": func(m, out any) error {
			if err := cs.SendMsg(m); err != nil {
				return err
			}
			return cs.RecvMsg(out)
		},
	}
}

// tabled keeps the bytes that the table-driven code's method is given.
type tabled struct{ keeper }

func (m *tabled) XXX_Unmarshal(b []byte) error { return m.Unmarshal(b) }
func (m *tabled) XXX_Size() int                { return len(m.kept) }
func (m *tabled) XXX_Marshal(b []byte, _ bool) ([]byte, error) {
	return append(b, m.kept...), nil
}

// hexBytes is a customtype of gogo's: generated code hands it a part of the message's bytes.
type hexBytes []byte

func (h *hexBytes) Unmarshal(b []byte) error { *h = b; return nil }

type custom struct {
	keeper
	hex hexBytes
}

func (m *custom) Reset() { *m = custom{} }
func (m *custom) Unmarshal(b []byte) error {
	_, _, n := protowire.ConsumeTag(b)
	part, _ := protowire.ConsumeBytes(b[n:])
	return errors.Join(m.hex.Unmarshal(part), m.keeper.Unmarshal(b))
}

// keptBytes returns what a message that was received has kept.
func keptBytes(m any) string {
	switch m := m.(type) {
	case *keeper:
		return string(m.kept)
	case *tabled:
		return string(m.kept)
	case *custom:
		return fmt.Sprintf("\x0a%c%s", len(m.hex), m.hex)
	}
	return ""
}

func TestKeptBytesAreNobodyElses(t *testing.T) {
	for name, newMessage := range map[string]func() any{
		"Unmarshal":     func() any { return new(keeper) },
		"XXX_Unmarshal": func() any { return new(tabled) },
		"customtype":    func() any { return new(custom) },
	} {
		t.Run(name, func(t *testing.T) {
			var requests []any
			c := connect(t, newMessage, func(m any) { requests = append(requests, m) })
			for how, roundTrip := range roundTrips(t, c) {
				requests = nil
				var answers []any
				for i := range 50 {
					out := newMessage()
					check(t, roundTrip(wrapperspb.String(fmt.Sprintf("message %02d", i)), out))
					answers = append(answers, out)
				}
				for i := range 50 {
					want := fmt.Sprintf("\x0a\x0amessage %02d", i)
					if got := keptBytes(requests[i]); got != want {
						t.Errorf("%s: request %d has become %q", how, i, got)
					}
					if got := keptBytes(answers[i]); got != want {
						t.Errorf("%s: answer %d has become %q", how, i, got)
					}
				}
			}
		})
	}
}

// sloppy announces what it does not write, in each of the ways to marshal.
type sloppy struct{ keeper }

const unwritten = 280 // of the size class of what was sent before

func (*sloppy) Marshal() {} // another method: this one does not marshal

type (
	sloppyTo    struct{ sloppy }
	sloppySized struct{ sloppy }
	sloppyTable struct{ sloppy }
)

func (*sloppyTo) Size() int                                     { return unwritten }
func (*sloppyTo) MarshalTo(b []byte) (int, error)               { return len(b), nil }
func (*sloppySized) Size() int                                  { return unwritten }
func (*sloppySized) MarshalToSizedBuffer(b []byte) (int, error) { return len(b), nil }
func (*sloppyTable) XXX_Size() int                              { return unwritten }
func (*sloppyTable) XXX_Marshal(b []byte, _ bool) ([]byte, error) {
	return b[:cap(b)], nil
}

func TestUnwrittenBytesAreZero(t *testing.T) {
	secret := &keeper{bytes.Repeat([]byte("secret"), 50)}
	c := connect(t, func() any { return new(keeper) }, func(any) {})
	for how, roundTrip := range roundTrips(t, c) {
		for _, m := range []any{new(sloppyTo), new(sloppySized), new(sloppyTable)} {
			for range 50 {
				out := new(keeper)
				check(t, roundTrip(secret, out))
				check(t, roundTrip(m, out))
				if !bytes.Equal(out.kept, make([]byte, unwritten)) {
					t.Fatalf("%s: %T sends %q", how, m, out.kept)
				}
			}
		}
	}
}

// vtOptions has vtprotobuf's methods, and extensions, of which these know nothing.
type vtOptions struct{ *descriptorpb.MessageOptions }

func (vtOptions) SizeVT() int                                  { return 0 }
func (vtOptions) MarshalToSizedBufferVT(b []byte) (int, error) { return 0, nil }
func (vtOptions) UnmarshalVT([]byte) error                     { return nil }

// Messages of the protobuf module come and go as it encodes and decodes them, whatever methods they
// have.
func TestVTMethodsChangeNothing(t *testing.T) {
	newOptions := func() any { return vtOptions{new(descriptorpb.MessageOptions)} }
	c := connect(t, newOptions, func(any) {})
	for how, roundTrip := range roundTrips(t, c) {
		in, out := newOptions().(vtOptions), newOptions().(vtOptions)
		in.Deprecated = proto.Bool(true)
		in.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 50_000, protowire.BytesType), "extension"))
		check(t, roundTrip(in, out))
		if !proto.Equal(in, out) {
			t.Errorf("%s: got %v, want %v", how, out.MessageOptions, in.MessageOptions)
		}
		wrongType := &keeper{protowire.AppendString([]byte{3<<3 | 2}, "deprecated is no text")}
		check(t, roundTrip(wrongType, out))
		if out.Deprecated != nil || len(out.ProtoReflect().GetUnknown()) == 0 {
			t.Errorf("%s: a field of another wire type is not unknown: %v", how, out.MessageOptions)
		}
	}
}

type vtText struct{ *wrapperspb.StringValue }

func (vtText) SizeVT() int                                  { return 4 }
func (vtText) MarshalToSizedBufferVT(b []byte) (int, error) { return copy(b, "\x0a\x02\xff\xff"), nil }
func (vtText) UnmarshalVT([]byte) error                     { return nil }

// Text that is not UTF-8 is refused in both directions.
func TestVTMethodsDoNotPassInvalidText(t *testing.T) {
	c := connect(t, func() any { return vtText{new(wrapperspb.StringValue)} }, func(any) {})
	if err := c.Call(bg, "safety", "echo", vtText{wrapperspb.String("\xff\xff")}, new(keeper)); err == nil {
		t.Error("it is sent")
	}
	err := c.Call(bg, "safety", "echo", &keeper{[]byte("\x0a\x02\xff\xff")}, new(keeper))
	if status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "invalid UTF-8") {
		t.Errorf("it is taken: %v", err)
	}
}
