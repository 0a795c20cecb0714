//go:build go1.25

package ttrpc

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc/internal/pipe"
)

func FuzzHeader(f *testing.F) {
	f.Add(make([]byte, headerLen))
	f.Add([]byte("\x00\x40\x00\x00\x00\x00\x00\x01\x01\x02"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerLen {
			return
		}
		out := make([]byte, headerLen)
		parseHeader(b).put(out)
		if !bytes.Equal(out, b[:headerLen]) {
			t.Fatalf("%x became %x", b[:headerLen], out)
		}
	})
}

// FuzzReader cuts a stream of bytes into frames, as it arrives in pieces of any size, and compares with a reader
// that has all of it at once.
func FuzzReader(f *testing.F) {
	frames := append(rawFrame{id: 1, typ: 1, data: encode(&Request{Service: svc, Method: "echo", Payload: encode(text("x"))})}.bytes(), rawFrame{id: 3, typ: 1, data: make([]byte, 200)}.bytes()...)
	f.Add(frames, uint64(1), uint16(100))
	f.Add(append(frames, 0, 0, 0), uint64(2), uint16(1000))
	f.Add(bytes.Repeat(data(1, 0, "x").bytes(), 1000), uint64(3), uint16(20))
	f.Add(rawFrame{typ: 3, data: make([]byte, 1<<16), claim: 1 << 17}.bytes(), uint64(4), uint16(1<<16-1))
	f.Add(rawFrame{typ: 3, data: make([]byte, 3*firstPart)}.bytes(), uint64(5), uint16(1<<16-1))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64, limit uint16) {
		r := rand.New(rand.NewPCG(seed, 0))
		most := 1 << r.IntN(18)
		there, back := pipe.New(pipe.Options{Capacity: len(b) + 1, Chunk: func() int { return 1 + r.IntN(most) }}, pipe.Options{})
		defer back.Close()
		_, _ = there.Write(b)
		_ = there.Close()
		ch := newChannel(back, int(limit), 1, nil)
		defer ch.discard()
		for {
			in, err := ch.recv()
			if err != nil {
				checkReadEnd(t, err, b, int(limit))
				return
			}
			for ; in != nil; in = ch.buffered() {
				b = checkFrame(t, in, b, int(limit))
				if !in.oversized && r.IntN(4) == 0 {
					in.take().free()
				}
			}
			if r.IntN(4) == 0 {
				ch.rest() // the role of reading changes hands
			}
		}
	})
}

// checkFrame compares a frame with the bytes it came from, and returns the rest.
func checkFrame(t *testing.T, in *inbound, b []byte, limit int) []byte {
	if len(b) < headerLen {
		t.Fatalf("a frame out of %d bytes", len(b))
	}
	h := parseHeader(b)
	if in.header != h || in.oversized != (h.length > uint32(limit)) {
		t.Fatalf("%+v, oversized %v; want %+v", in.header, in.oversized, h)
	}
	rest := b[headerLen:]
	n := min(uint64(h.length), uint64(len(rest)))
	if !in.oversized && !bytes.Equal(in.data(), rest[:n]) {
		t.Fatalf("data %x, want %x", in.data(), rest[:n])
	}
	if in.oversized && n < uint64(h.length) {
		return b[len(b)-1:] // cut: see checkReadEnd
	}
	return rest[n:]
}

func checkReadEnd(t *testing.T, err error, rest []byte, limit int) {
	want := io.EOF
	if len(rest) > 0 {
		want = io.ErrUnexpectedEOF
	}
	if len(rest) >= headerLen && uint64(parseHeader(rest).length) <= uint64(min(limit, len(rest)-headerLen)) {
		t.Fatalf("a frame was left over: %x", rest)
	}
	if !errors.Is(err, want) {
		t.Fatalf("%v with %d bytes left, want %v", err, len(rest), want)
	}
}

// envelopeSeeds are encodings that a parser written by hand may take for something else.
func envelopeSeeds(f *testing.F) {
	for _, s := range []string{
		"",
		"\x0a\x01s\x12\x01m\x1a\x03\x0a\x01x\x20\x05\x2a\x06\x0a\x01k\x12\x01v", // all fields
		"\x0a\x01s\x0a\x01t\x12\x01m\x12\x00\x20\x05\x20\x00",                   // the last one counts
		"\x2a\x03\x12\x01v\x2a\x00\x2a\x03\x0a\x01K\x2a\x06\x0a\x01k\x12\x01v",  // halves of KeyValues do not merge
		"\x2a\x09\x0a\x01a\x0a\x01b\x12\x01v",                                   // a key twice
		"\x0a\x02\xc3\x28",                                                      // not UTF-8
		"\x2a\x04\x0a\x02\xc3\x28",                                              // the same in a key
		"\x8a\x00\x81\x00s",                                                     // a tag and a length of more bytes than need be
		"\x8a\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01s",                         // of as many as there can be
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

// FuzzParseRequest: what the protobuf module takes for a Request, and nothing else, is one, with the same values.
func FuzzParseRequest(f *testing.F) {
	envelopeSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		want := new(Request)
		wantErr := proto.Unmarshal(b, want)
		v, err := parseRequest(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: %v, protobuf says %v", b, err, wantErr)
		}
		if err != nil {
			if text := requestError(b).Error(); len(b) <= wordedSize && text != wantErr.Error() {
				t.Fatalf("%s, protobuf says %s", text, wantErr)
			}
			return
		}
		if string(v.service) != want.Service || string(v.method) != want.Method ||
			!bytes.Equal(v.payload, want.Payload) || v.timeout != want.TimeoutNano || v.metadata != len(want.Metadata) {
			t.Fatalf("%x: %+v, want %v", b, v, want)
		}
		checkMetadata(t, requestMetadata(b, v.metadata), want.Metadata)
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
		v, err := parseResponse(b)
		var st *spb.Status
		if err == nil {
			st, err = v.decodeStatus()
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: %v, protobuf says %v", b, err, wantErr)
		}
		if err == nil && (!bytes.Equal(v.payload, want.Payload) || !proto.Equal(st, want.Status)) {
			t.Fatalf("%x: %q %v, want %v", b, v.payload, st, want)
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
		e := encoder{msg: payload, size: len(payload), kind: encodeRaw}
		wantBytes, wantErr := proto.Marshal(want)
		frame, err := buildRequest(service, method, e, timeout, md, flagRemoteOpen, defaultMaxMessage)
		if wantErr != nil || err != nil {
			if wantErr == nil || err == nil || wantErr.Error() != err.Error() {
				t.Fatalf("%v, protobuf says %v", err, wantErr)
			}
			return
		}
		defer frame.free()
		if !bytes.Equal(frame.data(), wantBytes) {
			t.Fatalf("%x, want %x", frame.data(), wantBytes)
		}
		frame.setStream(7)
		equal(t, parseHeader(frame.b), header{uint32(len(wantBytes)), 7, typeRequest, flagRemoteOpen})
		_, err = buildRequest(service, method, e, timeout, md, 0, len(wantBytes)-1)
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
		e, err := encoderFor(wrapperspb.Bytes([]byte(in)))
		check(t, err)
		frame, err := buildResponse(e, defaultMaxMessage)
		check(t, err)
		want, _ := proto.Marshal(&Response{Payload: encode(wrapperspb.Bytes([]byte(in)))})
		if !bytes.Equal(frame.data(), want) {
			t.Fatalf("%x, want %x", frame.data(), want)
		}
		frame.free()
		details := []*anypb.Any{{TypeUrl: msg, Value: detail}}
		checkStatusFrame(t, &spb.Status{Code: code, Message: msg, Details: details}, 100+int(limit))
	})
}

// checkStatusFrame wants a Response within the limit, whole if it fits, and with the code in any case.
func checkStatusFrame(t *testing.T, st *spb.Status, limit int) {
	whole, err := proto.Marshal(&Response{Status: st})
	frame := buildStatus(st, limit)
	defer frame.free()
	got := new(Response)
	check(t, proto.Unmarshal(frame.data(), got))
	if got.Status.GetCode() != st.Code || len(frame.data()) > limit {
		t.Fatalf("%d bytes of %v", len(frame.data()), got)
	}
	if err == nil && len(whole) <= limit && !bytes.Equal(frame.data(), whole) {
		t.Fatalf("%x, want %x", frame.data(), whole)
	}
	if !utf8.ValidString(got.Status.Message) || utf8.ValidString(st.Message) && !strings.HasPrefix(st.Message, got.Status.Message) {
		t.Fatalf("%q became %q", st.Message, got.Status.Message)
	}
}
