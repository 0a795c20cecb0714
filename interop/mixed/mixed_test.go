package mixed

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/interop/messages"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// connect starts one server that register fills, and one client of it.
func connect(t *testing.T, register func(*ttrpc.Server)) *ttrpc.Client {
	t.Helper()
	s, err := ttrpc.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	register(s)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := ttrpc.NewClient(conn)
	t.Cleanup(func() {
		c.Close()
		s.Close()
		if err := <-served; err != ttrpc.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

// everyForm registers a service for each form, all on one server.
func everyForm(s *ttrpc.Server) {
	for _, f := range Forms {
		s.RegisterService(f.Name, &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"Echo": echo(f), "Reused": reused(f)},
			Streams: map[string]ttrpc.Stream{"Chat": {Handler: chat(f), StreamingClient: true, StreamingServer: true}},
		})
	}
}

// echo answers with the content of the request, in a message of its own.
func echo(f messages.Form) ttrpc.Method {
	return func(_ context.Context, unmarshal func(any) error) (any, error) {
		m := f.New()
		if err := unmarshal(m); err != nil {
			return nil, err
		}
		return f.Of(f.Read(m)), nil
	}
}

// reused unmarshals into a message that has content already.
func reused(f messages.Form) ttrpc.Method {
	return func(_ context.Context, unmarshal func(any) error) (any, error) {
		m := f.Of(messages.Full(99))
		if err := unmarshal(m); err != nil {
			return nil, err
		}
		return m, nil
	}
}

func chat(f messages.Form) ttrpc.StreamHandler {
	return func(_ context.Context, s ttrpc.StreamServer) (any, error) {
		m := f.Of(messages.Full(98))
		for {
			if err := s.RecvMsg(m); err != nil {
				if err == io.EOF {
					return nil, nil
				}
				return nil, err
			}
			if err := s.SendMsg(m); err != nil {
				return nil, err
			}
		}
	}
}

// eachPair runs f for every form of a client with every form of a server.
func eachPair(f func(mine, theirs messages.Form)) {
	for _, mine := range Forms {
		for _, theirs := range Forms {
			f(mine, theirs)
		}
	}
}

// TestEveryFormAtOnce has calls and streams of every pair of forms under way together, on
// one connection.
func TestEveryFormAtOnce(t *testing.T) {
	c := connect(t, everyForm)
	var all sync.WaitGroup
	eachPair(func(mine, theirs messages.Form) {
		for n := range int64(4) {
			all.Go(func() { checkCalls(t, c, mine, theirs, n*100) })
			all.Go(func() { checkStream(t, c, mine, theirs, n*100) })
		}
	})
	all.Wait()
}

func checkCalls(t *testing.T, c *ttrpc.Client, mine, theirs messages.Form, from int64) {
	resp := mine.New()
	for n := from; n < from+10; n++ {
		for _, want := range []messages.Item{messages.Full(n), {}, {Data: make([]byte, 5000), Number: n}} {
			if err := c.Call(t.Context(), theirs.Name, "Echo", mine.Of(want), resp); err != nil {
				t.Errorf("%s to %s: %v", mine.Name, theirs.Name, err)
				return
			}
			if got := mine.Read(resp); !messages.Equal(got, want) {
				t.Errorf("%s to %s: got %+v, want %+v", mine.Name, theirs.Name, got, want)
				return
			}
		}
	}
}

func checkStream(t *testing.T, c *ttrpc.Client, mine, theirs messages.Form, from int64) {
	if err := runStream(t.Context(), c, mine, theirs, from); err != nil {
		t.Errorf("stream, %s to %s: %v", mine.Name, theirs.Name, err)
	}
}

func runStream(ctx context.Context, c *ttrpc.Client, mine, theirs messages.Form, from int64) error {
	s, err := c.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, theirs.Name, "Chat", nil)
	if err != nil {
		return err
	}
	m := mine.New()
	for n := from; n < from+10; n++ {
		for _, want := range []messages.Item{messages.Full(n), {}} {
			if err := s.SendMsg(mine.Of(want)); err != nil {
				return err
			}
			if err := s.RecvMsg(m); err != nil {
				return err
			}
			if got := mine.Read(m); !messages.Equal(got, want) {
				return fmt.Errorf("got %+v, want %+v", got, want)
			}
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	if err := s.RecvMsg(m); err != io.EOF {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}

// TestLarge sends a megabyte in every pair of forms.
func TestLarge(t *testing.T) {
	c := connect(t, everyForm)
	want := messages.Item{Data: []byte(strings.Repeat("0123456789abcdef", 1<<16)), Inner: &messages.Item{Text: strings.Repeat("x", 1<<17)}}
	eachPair(func(mine, theirs messages.Form) {
		resp := mine.New()
		if err := c.Call(t.Context(), theirs.Name, "Echo", mine.Of(want), resp); err != nil {
			t.Errorf("%s to %s: %v", mine.Name, theirs.Name, err)
		} else if !messages.Equal(mine.Read(resp), want) {
			t.Errorf("%s to %s: another message came back", mine.Name, theirs.Name)
		}
	})
}

// TestUnmarshalResets: a message with content has none of it left after unmarshalling.
func TestUnmarshalResets(t *testing.T) {
	c := connect(t, everyForm)
	for _, f := range Forms {
		for _, want := range []messages.Item{{}, {Text: "new"}, {Inner: &messages.Item{Number: 1}}} {
			resp := f.Of(messages.Full(97))
			if err := c.Call(t.Context(), f.Name, "Reused", f.Of(want), resp); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			} else if got := f.Read(resp); !messages.Equal(got, want) {
				t.Errorf("%s: got %+v, want %+v", f.Name, got, want)
			}
		}
	}
}

// raw is a message that goes out as the bytes it is given, as gogo's marshalers would.
type raw []byte

func (r *raw) Reset()                   {}
func (r *raw) String() string           { return fmt.Sprintf("%x", []byte(*r)) }
func (r *raw) ProtoMessage()            {}
func (r *raw) Marshal() ([]byte, error) { return *r, nil }
func (r *raw) Size() int                { return len(*r) }
func (r *raw) MarshalTo(b []byte) (int, error) {
	return copy(b, *r), nil
}
func (r *raw) MarshalToSizedBuffer(b []byte) (int, error) {
	return copy(b[len(b)-len(*r):], *r), nil
}
func (r *raw) Unmarshal(b []byte) error { *r = append((*r)[:0], b...); return nil }

// unparsable payloads are cut short, of a wrong wire type, or no protobuf at all.
var unparsable = []raw{{0x0a, 0x05, 'x'}, {0xff}, {0x0a}, {0x32, 0x02, 0x0a, 0x09}, {0x0b}}

// TestUnparsableRequest: what a handler cannot unmarshal costs that call alone.
func TestUnparsableRequest(t *testing.T) {
	c := connect(t, everyForm)
	for _, f := range Forms {
		for _, payload := range unparsable {
			err := c.Call(t.Context(), f.Name, "Echo", &payload, f.New())
			s, ok := status.FromError(err)
			if !ok || s.Code() != codes.Internal || !strings.HasPrefix(s.Message(), "ttrpc: error unmarshalling payload: ") {
				t.Errorf("%s, payload %s: %v", f.Name, &payload, err)
			}
		}
		checkCalls(t, c, f, f, 1)
	}
}

// TestUnparsableReply: what a caller cannot unmarshal is an error of that call alone.
func TestUnparsableReply(t *testing.T) {
	var payload raw
	c := connect(t, func(s *ttrpc.Server) {
		everyForm(s)
		s.Register("raw", map[string]ttrpc.Method{"Bad": func(context.Context, func(any) error) (any, error) { return &payload, nil }})
	})
	for _, f := range Forms {
		for _, payload = range unparsable {
			if err := c.Call(t.Context(), "raw", "Bad", f.New(), f.New()); err == nil {
				t.Errorf("%s, payload %s: no error", f.Name, &payload)
			}
		}
		checkCalls(t, c, f, f, 1)
	}
}

// TestUnparsableInStream: on a stream, too, it costs no one else anything.
func TestUnparsableInStream(t *testing.T) {
	c := connect(t, everyForm)
	for _, f := range Forms {
		s, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, f.Name, "Chat", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendMsg(&unparsable[0]); err != nil {
			t.Fatal(err)
		}
		if err := s.RecvMsg(f.New()); status.Code(err) != codes.Internal {
			t.Errorf("%s: %v", f.Name, err)
		}
		checkStream(t, c, f, f, 1)
	}
}

// TestHappensBefore: what one side wrote before a call is seen by the other, also by the
// race detector. Programs with both sides in one process, as tests have them, rely on it.
func TestHappensBefore(t *testing.T) {
	f := Forms[0]
	var shared int
	c := connect(t, func(s *ttrpc.Server) {
		s.RegisterService("shared", &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"Add": func(_ context.Context, unmarshal func(any) error) (any, error) {
				shared++
				return f.New(), unmarshal(f.New())
			}},
			Streams: map[string]ttrpc.Stream{"AddOne": {StreamingClient: true, StreamingServer: true, Handler: func(
				_ context.Context, s ttrpc.StreamServer,
			) (any, error) {
				err := s.RecvMsg(f.New())
				shared++
				return f.New(), err
			}}},
		})
	})
	for range 10 {
		shared++
		if err := c.Call(t.Context(), "shared", "Add", f.New(), f.New()); err != nil {
			t.Fatal(err)
		}
		shared++
		s, err := c.NewStream(t.Context(), &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, "shared", "AddOne", nil)
		if err != nil {
			t.Fatal(err)
		}
		shared++
		if err := s.SendMsg(f.New()); err != nil {
			t.Fatal(err)
		}
		if err := s.RecvMsg(f.New()); err != nil {
			t.Fatal(err)
		}
	}
	if shared != 50 {
		t.Errorf("%d additions were seen, want 50", shared)
	}
}
