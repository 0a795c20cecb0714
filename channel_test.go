//go:build go1.25

package ttrpc

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// mustEncoder finds out how to encode a message.
func mustEncoder(t testing.TB, m any) codec.Encoder {
	t.Helper()
	e, err := codec.EncoderFor(m)
	testkit.Check(t, err)
	return e
}

// requests are compared with the protobuf module's encoding, both ways.
var requests = []*Request{
	{},
	{Service: "s"},
	{Method: "m"},
	{Service: svc, Method: "echo", Payload: encode(text("x"))},
	{Service: svc, Method: "echo", Payload: encode(text(strings.Repeat("x", 200)))},
	{Service: strings.Repeat("s", 127), Method: strings.Repeat("m", 128), Payload: encode(text(strings.Repeat("x", 70_000)))},
	{Service: svc, TimeoutNano: 1},
	{Service: svc, TimeoutNano: math.MaxInt64},
	{Service: svc, TimeoutNano: -1},
	{Service: svc, TimeoutNano: math.MinInt64},
	{Service: "é", Method: "日本", Metadata: []*KeyValue{{Key: "k", Value: "v"}}},
	{Metadata: []*KeyValue{{Key: "k", Value: "1"}, {Key: "k", Value: ""}, {Key: "k", Value: strings.Repeat("v", 300)}}},
	{Metadata: []*KeyValue{{}, {Value: "of no key"}}},
}

func TestRequestFrameIsProtobuf(t *testing.T) {
	for _, req := range requests {
		t.Run(fmt.Sprintf("%.40v", req), func(t *testing.T) {
			var in textMessage
			testkit.Check(t, proto.Unmarshal(req.Payload, &in))
			f, err := requestFrame(req.Service, req.Method, mustEncoder(t, &in), req.TimeoutNano, metadataFrom(req.Metadata), 3, wire.DefaultMaxData)
			testkit.Check(t, err)
			defer f.Free()
			want := encode(req)
			if !bytes.Equal(f.Data(), want) {
				t.Errorf("got  %.200x\nwant %.200x", f.Data(), want)
			}
			f.SetStream(7)
			testkit.Equal(t, wire.ParseHeader(f.Bytes()), wire.Header{Length: uint32(len(want)), Stream: 7, Type: wire.TypeRequest, Flags: 3})
		})
	}
	// Keys have no order.
	md := MD{"a": {"1", "2"}, "b": {"3"}, "none": nil, "empty": {}}
	f, err := requestFrame("s", "m", mustEncoder(t, text("x")), 5, md, 0, wire.DefaultMaxData)
	testkit.Check(t, err)
	defer f.Free()
	got := new(Request)
	testkit.Check(t, proto.Unmarshal(f.Data(), got))
	slices.SortFunc(got.Metadata, func(a, b *KeyValue) int { return strings.Compare(a.Key+a.Value, b.Key+b.Value) })
	want := &Request{Service: "s", Method: "m", Payload: encode(text("x")), TimeoutNano: 5,
		Metadata: []*KeyValue{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "3"}}}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is too large is refused by the error that users know.
func TestRequestFrameFitsTheLimit(t *testing.T) {
	for n := range 40 {
		e := mustEncoder(t, text(strings.Repeat("x", n)))
		size := proto.Size(&Request{Service: "s", Method: "m", Payload: make([]byte, e.Size())})
		f, err := requestFrame("s", "m", e, 0, nil, 0, 30)
		testkit.Equal(t, err == nil, size <= 30)
		if err != nil {
			wantOversized(t, err, 30)
			continue
		}
		f.Free()
	}
}

// payloadOf is the payload of a Request that was parsed from b.
func payloadOf(b []byte, v wire.RequestView) []byte { return b[v.PayloadAt : v.PayloadAt+v.PayloadLen] }

// agree compares ParseRequest and ParseResponse with the protobuf module, for any bytes.
func agree(t *testing.T, b []byte) {
	t.Helper()
	req := new(Request)
	view, err := wire.ParseRequest(b)
	if wantErr := proto.Unmarshal(b, req); (err == nil) != (wantErr == nil) {
		t.Fatalf("request %x: got error %v, protobuf has %v", b, err, wantErr)
	}
	if err == nil {
		if string(view.Service) != req.Service || string(view.Method) != req.Method || !bytes.Equal(payloadOf(b, view), req.Payload) ||
			view.Timeout != req.TimeoutNano || view.Metadata != len(req.Metadata) {
			t.Fatalf("request %x: got %v, protobuf has %v", b, view, req)
		}
		lower := MD{}
		for _, kv := range req.Metadata {
			lower.Append(kv.Key, kv.Value)
		}
		if view.Metadata > 0 {
			testkit.Equal(t, fmt.Sprint(wire.RequestMetadata(b, view.Metadata)), fmt.Sprint(lower))
		}
	} else if len(b) <= maxReparsed {
		testkit.Equal(t, fmt.Sprint(requestError(b)), fmt.Sprint(proto.Unmarshal(b, req)))
	}
	resp := new(Response)
	answer, err := wire.ParseResponse(b)
	var st *spb.Status
	if err == nil {
		st, err = responseStatus(answer, b)
	}
	if wantErr := proto.Unmarshal(b, resp); (err == nil) != (wantErr == nil) {
		t.Fatalf("response %x: got error %v, protobuf has %v", b, err, wantErr)
	}
	if err == nil && (!bytes.Equal(answer.Payload, resp.Payload) || !proto.Equal(st, resp.Status)) {
		t.Fatalf("response %x: got %v %v, protobuf has %v", b, answer, st, resp)
	}
}

// Whatever bytes arrive, they mean what the protobuf module says.
func TestParseAgreesWithProtobuf(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var seeds [][]byte
	for _, req := range requests {
		seeds = append(seeds, encode(req))
	}
	detail, err := anypb.New(text("detail"))
	testkit.Check(t, err)
	seeds = append(seeds,
		encode(&Response{Status: &spb.Status{Code: 5, Message: "gone", Details: []*anypb.Any{detail}}, Payload: []byte("abc")}),
		slices.Concat(field(1, number(1, 5)), field(2, nil), field(1, field(2, []byte("gone")))),
		slices.Concat(field(5, slices.Concat(field(1, []byte("A")), number(3, 1))),
			field(5, field(1, []byte("a"))), number(9, 1), field(77, nil)),
		[]byte{0x0b, 0x0c}, []byte{0x0b, 0x13, 0x14, 0x0c}, []byte{0x0b, 0x14}, []byte{0x0c}, // groups
		[]byte{0x00}, []byte{0x07}, []byte{0x0e}, []byte{0x8a, 0x00, 0x01, 'x'}, []byte{0x0d, 1, 2, 3, 4}, []byte{0x09, 1, 2, 3},
		bytes.Repeat([]byte{0xff}, 12), []byte{0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	)
	for _, seed := range seeds {
		agree(t, seed)
		seed = seed[:min(len(seed), 300)]
		for n := range len(seed) {
			agree(t, seed[:n])
		}
		for range 300 {
			b := slices.Clone(seed)
			for range 1 + random.IntN(3) {
				if len(b) > 0 {
					b[random.IntN(len(b))] = byte(random.IntN(256))
				}
			}
			other := seeds[random.IntN(len(seeds))]
			agree(t, append(b, other[:random.IntN(len(other)+1)]...))
		}
	}
}

func TestResponseFrameIsProtobuf(t *testing.T) {
	for _, out := range []string{"", "x", strings.Repeat("x", 130), strings.Repeat("x", 70_000)} {
		f, err := responseFrame(mustEncoder(t, text(out)), wire.DefaultMaxData)
		testkit.Check(t, err)
		if want := encode(&Response{Payload: encode(text(out))}); !bytes.Equal(f.Data(), want) {
			t.Errorf("got %.100x, want %.100x", f.Data(), want)
		}
		f.Free()
	}
	f, err := responseFrame(mustEncoder(t, text("12345")), 9)
	testkit.Check(t, err)
	testkit.Equal(t, len(f.Data()), 9)
	f.Free()
	_, err = responseFrame(mustEncoder(t, text("12345")), 8)
	wantOversized(t, err, 8)
}

func TestDataFrameHasItsMessageAndFitsTheLimit(t *testing.T) {
	f, err := dataFrame(mustEncoder(t, text("x")), 1, 3)
	testkit.Check(t, err)
	f.SetStream(7)
	testkit.Equal(t, string(f.Bytes()), string(data(7, 1, "x")))
	f.Free()
	_, err = dataFrame(mustEncoder(t, text("xy")), 1, 3)
	wantOversized(t, err, 3)
	f = wire.EndFrame()
	f.SetStream(7)
	testkit.Equal(t, string(f.Bytes()), string(testkit.Frame{ID: 7, Type: 3, Flags: 5}.Bytes()))
	f.Free()
}

// A Request that turns out malformed at its end costs no more memory than its bytes.
func TestMalformedRequestsCostNoMemory(t *testing.T) {
	b := append(bytes.Repeat([]byte("\x2a\x00"), 1<<20), 0xff)
	const most = 1 << 20
	least := uint64(math.MaxUint64)
	for try := 0; least > most && try < 10; try++ { // other goroutines' memory counts as well
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := wire.ParseRequest(b)
		testkit.WantExactly(t, err, wire.ErrMalformed)
		testkit.WantExactly(t, requestError(b), wire.ErrMalformed)
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	if least > most {
		t.Errorf("%d bytes", least)
	}
}

func wantOversized(t *testing.T, err error, limit int) {
	t.Helper()
	var large *OversizedMessageErr
	if !errors.As(err, &large) || large.MaximumLength() != limit || large.RejectedLength() <= limit {
		t.Fatalf("got error %v (%T), want an *OversizedMessageErr over %d", err, err, limit)
	}
}
