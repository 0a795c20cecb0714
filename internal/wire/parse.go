package wire

import (
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is what does not parse as an envelope. The protobuf module has more to say about it.
var ErrMalformed = errors.New("ttrpc: malformed envelope")

// RequestView is a parsed Request. Service and Method alias the bytes it was parsed from, and the
// payload is told by its place there. It is plain data.
type RequestView struct {
	Service, Method       []byte
	PayloadAt, PayloadLen int
	Timeout               int64 // nanoseconds; 0 is none
	Metadata              int   // KeyValues present, each of them checked
}

// ResponseView is a parsed Response, whose fields alias the bytes it was parsed from.
// It is plain data.
type ResponseView struct {
	Status, Payload []byte
	HasStatus       bool
	Merge           bool // there are several statuses, which together are one
}

// ParseRequest reads a Request in place, with protobuf's rules: fields come in any order, the last
// of a kind counts, unknown ones are skipped, strings are UTF-8.
func ParseRequest(whole []byte) (v RequestView, err error) {
	for b := whole; len(b) > 0; {
		tag, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return v, ErrMalformed
		}
		b = b[n:]
		switch tag {
		case tagRequestService:
			v.Service, n = consumeString(b)
		case tagRequestMethod:
			v.Method, n = consumeString(b)
		case tagRequestPayload:
			var payload []byte
			payload, n = protowire.ConsumeBytes(b)
			v.PayloadAt, v.PayloadLen = len(whole)-len(b)+n-len(payload), len(payload)
		case tagRequestTimeout:
			var t uint64
			t, n = protowire.ConsumeVarint(b)
			v.Timeout = int64(t)
		case tagRequestMetadata:
			n = checkKeyValue(b)
			v.Metadata++
		default:
			n = skipField(tag, b)
		}
		if n < 0 {
			return v, ErrMalformed
		}
		b = b[n:]
	}
	return v, nil
}

func checkKeyValue(b []byte) int {
	kv, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return n
	}
	if _, _, ok := parseKeyValue(kv); !ok {
		return -1
	}
	return n
}

func parseKeyValue(b []byte) (key, value []byte, ok bool) {
	for len(b) > 0 {
		tag, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, nil, false
		}
		b = b[n:]
		switch tag {
		case tagKeyValueKey:
			key, n = consumeString(b)
		case tagKeyValueValue:
			value, n = consumeString(b)
		default:
			n = skipField(tag, b)
		}
		if n < 0 {
			return nil, nil, false
		}
		b = b[n:]
	}
	return key, value, true
}

// RequestMetadata collects the n KeyValues of a Request that ParseRequest has accepted, with keys
// in lower case, so that a lookup finds what a peer sent as `Foo`. Nothing in it aliases b.
func RequestMetadata(b []byte, n int) map[string][]string {
	n = min(n, 64) // an empty KeyValue has two bytes: no room is made for all of them
	md := make(map[string][]string, n)
	values := make([]string, 0, n)
	for len(b) > 0 {
		tag, used := protowire.ConsumeVarint(b)
		b = b[used:]
		if tag != tagRequestMetadata {
			b = b[skipField(tag, b):]
			continue
		}
		kv, used := protowire.ConsumeBytes(b)
		b = b[used:]
		k, v, _ := parseKeyValue(kv)
		key := strings.ToLower(string(k))
		if old, ok := md[key]; ok {
			md[key] = append(old, string(v))
			continue
		}
		values = append(values, string(v))
		md[key] = values[len(values)-1 : len(values) : len(values)]
	}
	return md
}

// ParseResponse reads a Response in place, as ParseRequest does a Request.
func ParseResponse(b []byte) (v ResponseView, err error) {
	for len(b) > 0 {
		tag, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return v, ErrMalformed
		}
		b = b[n:]
		switch tag {
		case tagResponseStatus:
			var st []byte
			st, n = protowire.ConsumeBytes(b)
			v.Status, v.HasStatus, v.Merge = st, true, v.HasStatus
		case tagResponsePayload:
			v.Payload, n = protowire.ConsumeBytes(b)
		default:
			n = skipField(tag, b)
		}
		if n < 0 {
			return v, ErrMalformed
		}
		b = b[n:]
	}
	return v, nil
}

func consumeString(b []byte) ([]byte, int) {
	s, n := protowire.ConsumeBytes(b)
	if n >= 0 && !utf8.Valid(s) {
		return nil, -1
	}
	return s, n
}

// skipField passes over the value of a field that is unknown, or known with another wire type.
func skipField(tag uint64, b []byte) int {
	num, typ := protowire.DecodeTag(tag)
	if num < protowire.MinValidNumber || num > protowire.MaxValidNumber {
		return -1
	}
	return protowire.ConsumeFieldValue(num, typ, b)
}
