package mixed

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type foreign struct{ Text string }

// foreigners are values that are no message.
var foreigners = []any{"text", []byte("x"), 7, foreign{}, &foreign{}, io.EOF, func() {}}

// TestClientRefuses: the errors of a client for what is no message, before anything is sent.
func TestClientRefuses(t *testing.T) {
	c := connect(t, everyForm)
	f := Forms[0]
	for _, v := range append(foreigners, nil) {
		want := fmt.Sprintf("ttrpc: cannot marshal unknown type: %T", v)
		if err := c.Call(t.Context(), f.Name, "Echo", v, f.New()); err == nil || err.Error() != want {
			t.Errorf("request %T: %v, want %s", v, err, want)
		}
		want = fmt.Sprintf("ttrpc: cannot unmarshal into unknown type: %T", v)
		if err := c.Call(t.Context(), f.Name, "Echo", f.New(), v); err == nil || err.Error() != want {
			t.Errorf("response %T: %v, want %s", v, err, want)
		}
	}
	checkCalls(t, c, f, f, 1)
}

// TestServerRefuses: the statuses for what handlers answer and unmarshal into.
func TestServerRefuses(t *testing.T) {
	var value any
	c := connect(t, func(s *ttrpc.Server) {
		everyForm(s)
		s.Register("odd", map[string]ttrpc.Method{
			"Answer": func(context.Context, func(any) error) (any, error) { return value, nil },
			"Into": func(_ context.Context, unmarshal func(any) error) (any, error) {
				return Forms[0].New(), unmarshal(value)
			},
		})
	})
	f := Forms[0]
	wantStatus := func(what string, err error, code codes.Code, text string) {
		t.Helper()
		if s, ok := status.FromError(err); !ok || s.Code() != code || s.Message() != text {
			t.Errorf("%s: %v, want %v %q", what, err, code, text)
		}
	}
	for _, value = range foreigners {
		what := fmt.Sprintf("%T", value)
		wantStatus("answer "+what, c.Call(t.Context(), "odd", "Answer", f.New(), f.New()),
			codes.Internal, "ttrpc: error unsupported response type: "+what)
		wantStatus("into "+what, c.Call(t.Context(), "odd", "Into", f.New(), f.New()),
			codes.Internal, "ttrpc: error unsupported request type: "+what)
	}
	for _, value = range append(typedNils, nil) {
		wantStatus(fmt.Sprintf("answer nil %T", value), c.Call(t.Context(), "odd", "Answer", f.New(), f.New()),
			codes.Unknown, "ttrpc: marshal called with nil: /odd/Answer returned neither a message nor an error")
	}
	checkCalls(t, c, f, f, 1)
}

// TestTypedNil: a nil pointer of a message's type does no harm on either side, whatever
// the form. What it gives is said by each case.
func TestTypedNil(t *testing.T) {
	var value any
	c := connect(t, func(s *ttrpc.Server) {
		everyForm(s)
		s.Register("odd", map[string]ttrpc.Method{
			"Into": func(_ context.Context, unmarshal func(any) error) (any, error) {
				return Forms[0].New(), unmarshal(value)
			},
		})
	})
	for i, f := range Forms {
		value = typedNils[i]
		if err := c.Call(t.Context(), f.Name, "Echo", f.Of(messages.Full(1)), value); err == nil {
			t.Errorf("%s: a nil response is no error", f.Name)
		}
		if err := c.Call(t.Context(), "odd", "Into", f.Of(messages.Full(1)), f.New()); status.Code(err) != codes.Internal {
			t.Errorf("%s: unmarshal into nil: %v", f.Name, err)
		}
		checkCalls(t, c, f, f, 1)
	}
}

// TestTypedNilRequest: a nil request of google's is an empty message, as the original has
// it; the other forms are the same.
func TestTypedNilRequest(t *testing.T) {
	c := connect(t, everyForm)
	for i, f := range Forms {
		resp := f.Of(messages.Full(1))
		if err := c.Call(t.Context(), f.Name, "Echo", typedNils[i], resp); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		} else if !messages.Equal(f.Read(resp), messages.Item{}) {
			t.Errorf("%s: %+v came back", f.Name, f.Read(resp))
		}
	}
}

// TestStreamRefuses: a stream refuses what is no message, and goes on.
func TestStreamRefuses(t *testing.T) {
	c := connect(t, everyForm)
	f := Forms[0]
	s, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, f.Name, "Chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range foreigners {
		want := fmt.Sprintf("ttrpc: cannot marshal unknown type: %T", v)
		if err := s.SendMsg(v); err == nil || err.Error() != want {
			t.Errorf("SendMsg %T: %v, want %s", v, err, want)
		}
	}
	if err := s.SendMsg(f.Of(messages.Full(1))); err != nil {
		t.Fatal(err)
	}
	got := f.New()
	if err := s.RecvMsg(got); err != nil || !messages.Equal(f.Read(got), messages.Full(1)) {
		t.Errorf("afterwards: %v, %+v", err, f.Read(got))
	}
}
