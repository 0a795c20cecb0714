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

// sfBroken is a message as gogo generates them, whose methods panic: where names the one that does.
type sfBroken struct{ where string }

func (m *sfBroken) Reset()         {}
func (m *sfBroken) String() string { return "broken" }
func (m *sfBroken) ProtoMessage()  {}

func (m *sfBroken) Size() int {
	m.panicIn("Size")
	return 2
}

func (m *sfBroken) MarshalTo(b []byte) (int, error) {
	m.panicIn("MarshalTo")
	return copy(b, "\x0a\x00"), nil
}

func (m *sfBroken) Marshal() ([]byte, error) {
	b := make([]byte, m.Size())
	n, err := m.MarshalTo(b)
	return b[:n], err
}

func (m *sfBroken) Unmarshal([]byte) error {
	m.panicIn("Unmarshal")
	return nil
}

func (m *sfBroken) panicIn(method string) {
	if m.where == method {
		panic("broken " + method)
	}
}

// sfSized is one that encodes from the end, as gogo's newer generated code does.
type sfSized struct{ sfBroken }

func (m *sfSized) MarshalToSizedBuffer(b []byte) (int, error) { return m.MarshalTo(b) }

// sfTable is one of the table-driven kind.
type sfTable struct{ sfPlain }

func (m *sfTable) XXX_Size() int                            { return 2 }
func (m *sfTable) XXX_Marshal([]byte, bool) ([]byte, error) { panic("broken XXX_Marshal") }
func (m *sfTable) XXX_Unmarshal([]byte) error               { panic("broken XXX_Unmarshal") }

type sfPlain struct{}

func (m *sfPlain) Reset()         {}
func (m *sfPlain) String() string { return "plain" }
func (m *sfPlain) ProtoMessage()  {}

// sfNilElement does what gogo's generated code does with a nil element of a repeated field.
type sfNilElement struct {
	sfBroken
	elements []*sfElement
}

type sfElement struct{ value string }

func (m *sfNilElement) Marshal() ([]byte, error) { return make([]byte, m.Size()), nil }

func (m *sfNilElement) Size() (n int) {
	for _, e := range m.elements {
		n += 2 + len(e.value)
	}
	return n
}

// sfError panics in Error, or in GRPCStatus.
type sfError struct{}

func (sfError) Error() string { panic("broken Error") }

type sfStatusError struct{ sfError }

func (sfStatusError) GRPCStatus() *status.Status { panic("broken GRPCStatus") }

// sfPointerError is the usual way to such a panic: a typed nil that is returned as an error.
type sfPointerError struct{ text string }

func (e *sfPointerError) Error() string { return e.text }

// sfPanics are results of handlers that panic where they are made an answer.
var sfPanics = map[string]struct {
	resp any
	err  error
}{
	"MarshalTo":            {resp: &sfBroken{where: "MarshalTo"}},
	"Size":                 {resp: &sfBroken{where: "Size"}},
	"MarshalToSizedBuffer": {resp: &sfSized{sfBroken{where: "MarshalTo"}}},
	"XXX_Marshal":          {resp: &sfTable{}},
	"nil element":          {resp: &sfNilElement{elements: []*sfElement{nil}}},
	"Error":                {err: sfError{}},
	"GRPCStatus":           {err: sfStatusError{}},
	"typed nil error":      {err: (*sfPointerError)(nil)},
	"Error of a wrapped":   {err: sfWrapped{}},
}

// sfWrapped leaves its text to what it wraps, which panics.
type sfWrapped struct{}

func (sfWrapped) Error() string { return "wrapped: " + sfError{}.Error() }
func (sfWrapped) Unwrap() error { return sfError{} }

// sfRecovered serves with WithRecovery; what its function saw is sent to seen.
func sfRecovered(t testing.TB, desc *ttrpc.ServiceDesc) (c *ttrpc.Client, seen chan string) {
	seen = make(chan string, 16)
	_, l := sfServe(t, nil, desc, ttrpc.WithRecovery(func(_ context.Context, method string, value any, stack []byte) error {
		if !strings.Contains(string(stack), "ttrpc_test.") { // the methods that panic are this package's
			t.Errorf("the stack is not where it panicked: %s", stack)
		}
		seen <- method
		return status.Error(codes.DataLoss, fmt.Sprint("recovered ", method))
	}))
	return sfClient(t, sfDial(t, l)), seen
}

func TestRecoveryCoversUnaryAnswers(t *testing.T) {
	for name, result := range sfPanics {
		t.Run(name, func(t *testing.T) {
			c, seen := sfRecovered(t, sfDesc(map[string]ttrpc.Method{
				"broken": sfMethod(func(context.Context, string) (any, error) { return result.resp, result.err }),
			}, nil))
			for range 40 { // quick methods may be run otherwise after some calls
				_, err := sfCall(context.Background(), c, "broken", "")
				sfWantStatus(t, err, codes.DataLoss, "recovered /safe.Service/broken")
				sfEqual(t, sfWait(t, seen, "the recovery"), "/safe.Service/broken")
				sfWantEcho(t, c)
			}
		})
	}
}

func TestRecoveryCoversResultsOfStreams(t *testing.T) {
	for name, result := range sfPanics {
		for kind, stream := range map[string]ttrpc.Stream{
			"up": {StreamingClient: true}, "down": {StreamingServer: true},
			"both": {StreamingClient: true, StreamingServer: true},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				desc := sfDesc(nil, nil)
				stream.Handler = func(context.Context, ttrpc.StreamServer) (any, error) { return result.resp, result.err }
				desc.Streams["broken"] = stream
				c, _ := sfRecovered(t, desc)
				sd := &ttrpc.StreamDesc{StreamingClient: stream.StreamingClient, StreamingServer: stream.StreamingServer}
				cs, err := c.NewStream(context.Background(), sd, sfService, "broken", sfText("x"))
				sfCheck(t, err)
				sfWantStatus(t, cs.RecvMsg(new(wrapperspb.StringValue)), codes.DataLoss, "recovered /safe.Service/broken")
				sfWantEcho(t, c)
			})
		}
	}
}

// In a stream's handler SendMsg is the handler's own doing, and so is its panic.
func TestRecoveryCoversSendMsg(t *testing.T) {
	for name, result := range sfPanics {
		if result.resp == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, _ := sfRecovered(t, sfDesc(nil, map[string]ttrpc.StreamHandler{
				"broken": func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
					if err := ss.SendMsg(sfText("before")); err != nil {
						return nil, err
					}
					return nil, ss.SendMsg(result.resp)
				},
			}))
			cs, err := c.NewStream(context.Background(), sfBoth, sfService, "broken", nil)
			sfCheck(t, err)
			sfCheck(t, cs.RecvMsg(new(wrapperspb.StringValue)))
			sfWantStatus(t, cs.RecvMsg(new(wrapperspb.StringValue)), codes.DataLoss, "recovered /safe.Service/broken")
			sfWantEcho(t, c)
		})
	}
}

// The handler may recover for itself: the stream is as before then, and no lock is left behind.
func TestHandlerRecoversFromSendMsg(t *testing.T) {
	c, _ := sfRecovered(t, sfDesc(nil, map[string]ttrpc.StreamHandler{
		"careful": func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			for range 10 {
				if sfPanicOf(func() { _ = ss.SendMsg(&sfBroken{where: "MarshalTo"}) }) == nil {
					return nil, errors.New("no panic")
				}
			}
			return sfText("after"), nil
		},
	}))
	cs, err := c.NewStream(context.Background(), sfBoth, sfService, "careful", nil)
	sfCheck(t, err)
	m := new(wrapperspb.StringValue)
	sfCheck(t, cs.RecvMsg(m))
	sfEqual(t, m.Value, "after")
	sfEqual(t, cs.RecvMsg(m), io.EOF)
	sfWantEcho(t, c)
}

// A panic in what WithRecovery's function returns is the user's own once more: it has no second
// chance, and the call gets an error in place of none, or the process ends; it never hangs.
func TestRecoveryReturnsABrokenError(t *testing.T) {
	if sfChild() == "" {
		out, err := sfRunChild(t, "broken recovery")
		if err != nil && !strings.Contains(out, "broken Error") {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	_, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{
		"broken": sfMethod(func(context.Context, string) (any, error) { panic("first") }),
	}, nil), ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return sfError{} }))
	_, err := sfCall(context.Background(), sfClient(t, sfDial(t, l)), "broken", "")
	if err == nil {
		t.Fatal("no error")
	}
}

// Without the option such a panic ends the process, with the panic's own text: it is never
// swallowed.
func TestBrokenAnswersEndTheProcess(t *testing.T) {
	if name := sfChild(); name != "" {
		result := sfPanics[name]
		_, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{
			"broken": sfMethod(func(context.Context, string) (any, error) { return result.resp, result.err }),
		}, nil))
		_, err := sfCall(context.Background(), sfClient(t, sfDial(t, l)), "broken", "")
		fmt.Println("survived with", err)
		os.Exit(0)
	}
	for name, want := range map[string]string{
		"MarshalTo": "panic: broken MarshalTo", "Error": "panic: broken Error", "nil element": "nil pointer dereference",
	} {
		out, err := sfRunChild(t, name)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
