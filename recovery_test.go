//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// broken is a message as gogo generates them, whose methods panic: where names the one that does.
type broken struct{ where string }

func (m *broken) Reset()         {}
func (m *broken) String() string { return "broken" }
func (m *broken) ProtoMessage()  {}

func (m *broken) Size() int {
	m.panicIn("Size")
	return 2
}

func (m *broken) MarshalTo(b []byte) (int, error) {
	m.panicIn("MarshalTo")
	return copy(b, "\x0a\x00"), nil
}

func (m *broken) Marshal() ([]byte, error) {
	b := make([]byte, m.Size())
	n, err := m.MarshalTo(b)
	return b[:n], err
}

func (m *broken) Unmarshal([]byte) error {
	m.panicIn("Unmarshal")
	return nil
}

func (m *broken) panicIn(method string) {
	if m.where == method {
		panic("broken " + method)
	}
}

// brokenSized is one that encodes from the end, as gogo's newer generated code does.
type brokenSized struct{ broken }

func (m *brokenSized) MarshalToSizedBuffer(b []byte) (int, error) { return m.MarshalTo(b) }

// brokenTable is one of the table-driven kind.
type brokenTable struct{ plain }

func (m *brokenTable) XXX_Size() int                            { return 2 }
func (m *brokenTable) XXX_Marshal([]byte, bool) ([]byte, error) { panic("broken XXX_Marshal") }
func (m *brokenTable) XXX_Unmarshal([]byte) error               { panic("broken XXX_Unmarshal") }

type plain struct{}

func (m *plain) Reset()         {}
func (m *plain) String() string { return "plain" }
func (m *plain) ProtoMessage()  {}

// nilElement does what gogo's generated code does with a nil element of a repeated field.
type nilElement struct {
	broken
	elements []*element
}

type element struct{ value string }

func (m *nilElement) Marshal() ([]byte, error) { return make([]byte, m.Size()), nil }

func (m *nilElement) Size() (n int) {
	for _, e := range m.elements {
		n += 2 + len(e.value)
	}
	return n
}

// panickingError panics in Error, or in GRPCStatus.
type panickingError struct{}

func (panickingError) Error() string { panic("broken Error") }

type panickingStatus struct{ panickingError }

func (panickingStatus) GRPCStatus() *status.Status { panic("broken GRPCStatus") }

// pointerError is the usual way to such a panic: a typed nil that is returned as an error.
type pointerError struct{ text string }

func (e *pointerError) Error() string { return e.text }

// panics are results of handlers that panic where they are made an answer.
var panics = map[string]struct {
	resp any
	err  error
}{
	"MarshalTo":            {resp: &broken{where: "MarshalTo"}},
	"Size":                 {resp: &broken{where: "Size"}},
	"MarshalToSizedBuffer": {resp: &brokenSized{broken{where: "MarshalTo"}}},
	"XXX_Marshal":          {resp: &brokenTable{}},
	"nil element":          {resp: &nilElement{elements: []*element{nil}}},
	"Error":                {err: panickingError{}},
	"GRPCStatus":           {err: panickingStatus{}},
	"typed nil error":      {err: (*pointerError)(nil)},
	"Error of a wrapped":   {err: wrappedPanic{}},
}

// wrappedPanic leaves its text to what it wraps, which panics.
type wrappedPanic struct{}

func (wrappedPanic) Error() string { return "wrapped: " + panickingError{}.Error() }
func (wrappedPanic) Unwrap() error { return panickingError{} }

// recovered serves with WithRecovery; what its function saw is sent to seen.
func recovered(t testing.TB, desc *ttrpc.ServiceDesc) (c *ttrpc.Client, seen chan string) {
	seen = make(chan string, 16)
	_, l := serveOn(t, nil, desc, ttrpc.WithRecovery(func(_ context.Context, method string, value any, stack []byte) error {
		if !strings.Contains(string(stack), "ttrpc_test.") { // the methods that panic are this package's
			t.Errorf("the stack is not where it panicked: %s", stack)
		}
		seen <- method
		return status.Error(codes.DataLoss, fmt.Sprint("recovered ", method))
	}))
	return newClient(t, dial(t, l)), seen
}

func TestRecoveryCoversUnaryAnswers(t *testing.T) {
	for name, result := range panics {
		t.Run(name, func(t *testing.T) {
			c, seen := recovered(t, serviceOf(map[string]ttrpc.Method{
				"broken": methodOf(func(context.Context, string) (any, error) { return result.resp, result.err }),
			}, nil))
			for range 40 { // quick methods may be run otherwise after some calls
				_, err := call(context.Background(), c, "broken", "")
				wantStatus(t, err, codes.DataLoss, "recovered /test.Service/broken")
				equal(t, wait(t, seen, "the recovery"), "/test.Service/broken")
				wantEcho(t, c)
			}
		})
	}
}

func TestRecoveryCoversResultsOfStreams(t *testing.T) {
	for name, result := range panics {
		for kind, stream := range map[string]ttrpc.Stream{
			"up": {StreamingClient: true}, "down": {StreamingServer: true},
			"both": {StreamingClient: true, StreamingServer: true},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				desc := serviceOf(nil, nil)
				stream.Handler = func(context.Context, ttrpc.StreamServer) (any, error) { return result.resp, result.err }
				desc.Streams["broken"] = stream
				c, _ := recovered(t, desc)
				sd := &ttrpc.StreamDesc{StreamingClient: stream.StreamingClient, StreamingServer: stream.StreamingServer}
				cs, err := c.NewStream(context.Background(), sd, svc, "broken", text("x"))
				check(t, err)
				wantStatus(t, cs.RecvMsg(new(wrapperspb.StringValue)), codes.DataLoss, "recovered /test.Service/broken")
				wantEcho(t, c)
			})
		}
	}
}

// In a stream's handler SendMsg is the handler's own doing, and so is its panic.
func TestRecoveryCoversSendMsg(t *testing.T) {
	for name, result := range panics {
		if result.resp == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, _ := recovered(t, serviceOf(nil, map[string]ttrpc.StreamHandler{
				"broken": func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
					if err := ss.SendMsg(text("before")); err != nil {
						return nil, err
					}
					return nil, ss.SendMsg(result.resp)
				},
			}))
			cs, err := c.NewStream(context.Background(), both, svc, "broken", nil)
			check(t, err)
			check(t, cs.RecvMsg(new(wrapperspb.StringValue)))
			wantStatus(t, cs.RecvMsg(new(wrapperspb.StringValue)), codes.DataLoss, "recovered /test.Service/broken")
			wantEcho(t, c)
		})
	}
}

// The handler may recover for itself: the stream is as before then, and no lock is left behind.
func TestHandlerRecoversFromSendMsg(t *testing.T) {
	c, _ := recovered(t, serviceOf(nil, map[string]ttrpc.StreamHandler{
		"careful": func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			for range 10 {
				if panicOf(func() { _ = ss.SendMsg(&broken{where: "MarshalTo"}) }) == nil {
					return nil, errors.New("no panic")
				}
			}
			return text("after"), nil
		},
	}))
	cs, err := c.NewStream(context.Background(), both, svc, "careful", nil)
	check(t, err)
	m := new(wrapperspb.StringValue)
	check(t, cs.RecvMsg(m))
	equal(t, m.Value, "after")
	equal(t, cs.RecvMsg(m), io.EOF)
	wantEcho(t, c)
}

// A panic in what WithRecovery's function returns is the user's own once more: it has no second
// chance, and the call gets an error in place of none, or the process ends; it never hangs.
func TestRecoveryReturnsABrokenError(t *testing.T) {
	if child() == "" {
		out, err := runChild(t, "broken recovery")
		if err != nil && !strings.Contains(out, "broken Error") {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	_, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{
		"broken": methodOf(func(context.Context, string) (any, error) { panic("first") }),
	}, nil), ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return panickingError{} }))
	_, err := call(context.Background(), newClient(t, dial(t, l)), "broken", "")
	if err == nil {
		t.Fatal("no error")
	}
}

// Without the option such a panic ends the process, with the panic's own text: it is never
// swallowed.
func TestBrokenAnswersEndTheProcess(t *testing.T) {
	if name := child(); name != "" {
		result := panics[name]
		_, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{
			"broken": methodOf(func(context.Context, string) (any, error) { return result.resp, result.err }),
		}, nil))
		_, err := call(context.Background(), newClient(t, dial(t, l)), "broken", "")
		fmt.Println("survived with", err)
		os.Exit(0)
	}
	for name, want := range map[string]string{
		"MarshalTo": "panic: broken MarshalTo", "Error": "panic: broken Error", "nil element": "nil pointer dereference",
	} {
		out, err := runChild(t, name)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
