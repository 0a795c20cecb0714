//go:build go1.25

package ttrpc

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/message"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// envelopeSeeds are encodings that a parser written by hand may take for something else.
func envelopeSeeds(f *testing.F) {
	for _, s := range []string{
		"",
		"\x0a\x01s\x12\x01m\x1a\x03\x0a\x01x\x20\x05\x2a\x06\x0a\x01k\x12\x01v", // all fields
		"\x0a\x01s\x0a\x01t\x12\x01m\x12\x00\x20\x05\x20\x00",                   // the last one counts
		"\x2a\x03\x12\x01v\x2a\x00\x2a\x03\x0a\x01K\x2a\x06\x0a\x01k\x12\x01v",  // KeyValues do not merge
		"\x2a\x09\x0a\x01a\x0a\x01b\x12\x01v",                                   // a key twice
		"\x0a\x02\xc3\x28",                                                      // not UTF-8
		"\x2a\x04\x0a\x02\xc3\x28",                                              // the same in a key
		"\x8a\x00\x81\x00s",                                                     // a long tag and length
		"\x8a\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01s",                         // the longest tag
		"\x8a\x80\x80\x80\x80\x80\x80\x80\x80\x02\x01s",                         // one too large
		"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",                          // -1
		"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
		"\x0b\x0a\x01s\x0c\x33\x34",            // groups: a known number, an unknown one
		"\x0b\x13\x14\x0c", "\x0b\x13\x0c\x14", // nested, and crossed
		"\x0c", // an end without a start
		"\x08\x01\x15abcd\x19abcdefgh\x22\x01x\x28\x07", // known numbers with other types
		"\x06\x01", "\x07", // types that there are not
		"\x00\x01", "\x02\x00", // field 0
		"\xf8\xff\xff\xff\x0f\x01",                   // the largest field number
		"\x80\x80\x80\x80\x10\x01",                   // one more
		"\x0a\xff\xff\xff\xff\x0f",                   // longer than there is
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",   // and than an int
		"\x0a\x01\x08\x0a\x01\x01",                   // a status cut in mid-field
		"\x0a\x02\x08\x05\x0a\x03\x12\x01m\x12\x01p", // a status in two parts
		"\x0a\x04\x12\x02\xc3\x28",                   // a status that is not UTF-8
		"\x0a\x00", "\x12\x00\x0a\x00\x0a\x00",
	} {
		f.Add([]byte(s))
	}
	f.Add(bytes.Repeat([]byte("\x0b"), 10001))
	f.Add(append(bytes.Repeat([]byte("\x0b"), 9000), bytes.Repeat([]byte("\x0c"), 9000)...))
}

// FuzzParseRequest: what the protobuf module takes for a Request, and nothing else, is one, with
// the same values.
func FuzzParseRequest(f *testing.F) {
	envelopeSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		want := new(Request)
		wantErr := proto.Unmarshal(b, want)
		v, err := wire.ParseRequest(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: %v, protobuf says %v", b, err, wantErr)
		}
		if err != nil {
			if text := requestError(b).Error(); len(b) <= maxReparsed && text != wantErr.Error() {
				t.Fatalf("%s, protobuf says %s", text, wantErr)
			}
			return
		}
		if string(v.Service) != want.Service || string(v.Method) != want.Method ||
			!bytes.Equal(payloadOf(b, v), want.Payload) || v.Timeout != want.TimeoutNano || v.Metadata != len(want.Metadata) {
			t.Fatalf("%x: %+v, want %v", b, v, want)
		}
		checkMetadata(t, wire.RequestMetadata(b, v.Metadata), want.Metadata)
	})
}

func checkMetadata(t *testing.T, got MD, list []*KeyValue) {
	want := MD{}
	for _, kv := range list {
		key := strings.ToLower(kv.Key)
		want[key] = append(want[key], kv.Value)
	}
	if len(got) != len(want) {
		t.Fatalf("metadata %v, want %v", got, want)
	}
	for key, values := range want {
		if strings.Join(got[key], "\x00") != strings.Join(values, "\x00") || len(got[key]) != len(values) {
			t.Fatalf("metadata %v, want %v", got, want)
		}
	}
}

// FuzzParseResponse is FuzzParseRequest for a Response.
func FuzzParseResponse(f *testing.F) {
	envelopeSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		want := new(Response)
		wantErr := proto.Unmarshal(b, want)
		v, err := wire.ParseResponse(b)
		var st *spb.Status
		if err == nil {
			st, err = responseStatus(v, b)
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: %v, protobuf says %v", b, err, wantErr)
		}
		if err == nil && (!bytes.Equal(v.Payload, want.Payload) || !proto.Equal(st, want.Status)) {
			t.Fatalf("%x: %q %v, want %v", b, v.Payload, st, want)
		}
	})
}

// FuzzBuildRequest: a Request goes out as the protobuf module would encode it.
func FuzzBuildRequest(f *testing.F) {
	f.Add("svc", "method", []byte("payload"), int64(5), "key", "value")
	f.Add("", "", []byte{}, int64(0), "", "")
	f.Add("\xc3\x28", "m", []byte{}, int64(-1), "", "v")
	f.Add("s", "m", make([]byte, 300), int64(1<<62), "Key", "\xff")
	f.Fuzz(func(t *testing.T, service, method string, payload []byte, timeout int64, key, value string) {
		md := MD{key: {value, value}}
		want := &Request{Service: service, Method: method, Payload: payload, TimeoutNano: timeout, Metadata: md.keyValues()}
		e := codec.Encoded(payload)
		wantBytes, wantErr := proto.Marshal(want)
		frame, err := requestFrame(service, method, e, timeout, md, wire.FlagRemoteOpen, wire.DefaultMaxData)
		if wantErr != nil || err != nil {
			if wantErr == nil || err == nil || wantErr.Error() != err.Error() {
				t.Fatalf("%v, protobuf says %v", err, wantErr)
			}
			return
		}
		defer frame.Free()
		if !bytes.Equal(frame.Data(), wantBytes) {
			t.Fatalf("%x, want %x", frame.Data(), wantBytes)
		}
		frame.SetStream(7)
		testkit.Equal(t, wire.ParseHeader(frame.Bytes()),
			wire.Header{Length: uint32(len(wantBytes)), Stream: 7, Type: wire.TypeRequest, Flags: wire.FlagRemoteOpen})
		_, err = requestFrame(service, method, e, timeout, md, 0, len(wantBytes)-1)
		if (len(wantBytes) > 0) != (err != nil) {
			t.Fatalf("over the limit by one byte: %v", err)
		}
	})
}

// FuzzBuildResponse is FuzzBuildRequest for messages and statuses, the latter at any limit.
func FuzzBuildResponse(f *testing.F) {
	f.Add("text", int32(5), "message", []byte("detail"), uint16(1000))
	f.Add("", int32(0), "", []byte{}, uint16(0))
	f.Add("\xff", int32(-1), "\xc3\x28\xff", make([]byte, 500), uint16(100))
	f.Add("x", int32(3), strings.Repeat("ü", 300), []byte{}, uint16(101))
	f.Fuzz(func(t *testing.T, in string, code int32, msg string, detail []byte, limit uint16) {
		e, err := codec.EncoderFor(wrapperspb.Bytes([]byte(in)))
		testkit.Check(t, err)
		frame, err := responseFrame(e, wire.DefaultMaxData)
		testkit.Check(t, err)
		want, _ := proto.Marshal(&Response{Payload: encode(wrapperspb.Bytes([]byte(in)))})
		if !bytes.Equal(frame.Data(), want) {
			t.Fatalf("%x, want %x", frame.Data(), want)
		}
		frame.Free()
		details := []*anypb.Any{{TypeUrl: msg, Value: detail}}
		checkStatusFrame(t, &spb.Status{Code: code, Message: msg, Details: details}, 100+int(limit))
	})
}

// checkStatusFrame wants a Response within the limit, whole if it fits, and with the code in any
// case.
func checkStatusFrame(t *testing.T, st *spb.Status, limit int) {
	whole, err := proto.Marshal(&Response{Status: st})
	frame := message.Status(st, limit)
	defer frame.Free()
	got := new(Response)
	testkit.Check(t, proto.Unmarshal(frame.Data(), got))
	if got.Status.GetCode() != st.Code || len(frame.Data()) > limit {
		t.Fatalf("%d bytes of %v", len(frame.Data()), got)
	}
	if err == nil && len(whole) <= limit && !bytes.Equal(frame.Data(), whole) {
		t.Fatalf("%x, want %x", frame.Data(), whole)
	}
	if !utf8.ValidString(got.Status.Message) || utf8.ValidString(st.Message) && !strings.HasPrefix(st.Message, got.Status.Message) {
		t.Fatalf("%q became %q", st.Message, got.Status.Message)
	}
}
