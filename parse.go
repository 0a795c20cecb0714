package ttrpc

import (
	"errors"
	"strings"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// requestView is a parsed Request whose fields alias the bytes it was parsed from.
type requestView struct {
	service, method, payload []byte
	timeout                  int64 // nanoseconds; 0 is none
	metadata                 int   // KeyValues present, each of them checked
}

// responseView is a parsed Response whose fields alias the bytes it was parsed from.
type responseView struct {
	status, payload []byte
	hasStatus       bool
	merge           bool   // there are several, which together are one: left to the protobuf module
	whole           []byte // what was parsed
}

// errMalformed stands for whatever the protobuf module would say, which is asked for it: see requestError.
var errMalformed = errors.New("ttrpc: malformed envelope")

const wordedSize = 64 << 10 // bytes of a malformed Request that is parsed again for its error

// parseRequest reads a Request in place, with protobuf's rules: fields in any order, the last of a kind
// counts, unknown ones are skipped, strings are UTF-8.
func parseRequest(b []byte) (v requestView, err error) {
	for len(b) > 0 {
		tag, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return v, errMalformed
		}
		b = b[n:]
		switch tag {
		case tagRequestService:
			v.service, n = consumeString(b)
		case tagRequestMethod:
			v.method, n = consumeString(b)
		case tagRequestPayload:
			v.payload, n = protowire.ConsumeBytes(b)
		case tagRequestTimeout:
			var t uint64
			t, n = protowire.ConsumeVarint(b)
			v.timeout = int64(t)
		case tagRequestMetadata:
			n = checkKeyValue(b)
			v.metadata++
		default:
			n = skipField(tag, b)
		}
		if n < 0 {
			return v, errMalformed
		}
		b = b[n:]
	}
	return v, nil
}

// requestError words a failure of parseRequest as the protobuf module does. A large one is not shown to it: what it
// parses before it fails takes a multiple of the bytes.
func requestError(b []byte) error {
	if len(b) <= wordedSize {
		if err := proto.Unmarshal(b, new(Request)); err != nil {
			return err
		}
	}
	return errMalformed
}

// responseError words a failure of parseResponse as the protobuf module does.
func responseError(b []byte) error {
	if err := proto.Unmarshal(b, new(Response)); err != nil {
		return err
	}
	return errMalformed
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

// requestMetadata collects the n KeyValues of a request that parseRequest has accepted, keys in lower case,
// so that Get finds what a peer sent as `Foo`. The strings share one copy of the request's tail and the
// values one slice: nothing aliases b.
func requestMetadata(b []byte, n int) MD {
	n = min(n, 64) // an empty KeyValue has two bytes: no room is made for all of them
	md := make(MD, n)
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
		key := lowerKey(k)
		if old, ok := md[key]; ok {
			md[key] = append(old, string(v))
			continue
		}
		values = append(values, string(v))
		md[key] = values[len(values)-1 : len(values) : len(values)]
	}
	return md
}

func lowerKey(k []byte) string { return strings.ToLower(string(k)) }

func parseResponse(b []byte) (v responseView, err error) {
	v.whole = b
	for len(b) > 0 {
		tag, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return v, errMalformed
		}
		b = b[n:]
		switch tag {
		case tagResponseStatus:
			var st []byte
			st, n = protowire.ConsumeBytes(b)
			v.status, v.hasStatus, v.merge = st, true, v.hasStatus
		case tagResponsePayload:
			v.payload, n = protowire.ConsumeBytes(b)
		default:
			n = skipField(tag, b)
		}
		if n < 0 {
			return v, errMalformed
		}
		b = b[n:]
	}
	return v, nil
}

// decodeStatus returns nil when the response has no status.
func (v responseView) decodeStatus() (*spb.Status, error) {
	if !v.hasStatus {
		return nil, nil
	}
	if v.merge {
		r := new(Response)
		err := proto.Unmarshal(v.whole, r)
		return r.Status, err
	}
	st := new(spb.Status)
	return st, proto.Unmarshal(v.status, st)
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
