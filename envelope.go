package ttrpc

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Field tags of the envelopes, as in request.proto: number<<3 | wire type (2 = length-delimited, 0 = varint).
const (
	tagRequestService  = 1<<3 | 2
	tagRequestMethod   = 2<<3 | 2
	tagRequestPayload  = 3<<3 | 2
	tagRequestTimeout  = 4 << 3
	tagRequestMetadata = 5<<3 | 2

	tagResponseStatus  = 1<<3 | 2
	tagResponsePayload = 2<<3 | 2

	tagKeyValueKey   = 1<<3 | 2
	tagKeyValueValue = 2<<3 | 2
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

// fieldSize is the size of a field of n bytes with a one-byte tag; an empty field is not written.
func fieldSize(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

func appendString(b []byte, tag uint64, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendVarint(b, tag), s)
}

// appendBytesHeader starts a field of n bytes, which the caller appends next.
func appendBytesHeader(b []byte, tag uint64, n int) []byte {
	return protowire.AppendVarint(protowire.AppendVarint(b, tag), uint64(n))
}

// The fields of a Request go out in the order of their numbers, as protobuf writes them: head, payload, tail.

// buildRequest encodes a Request frame, all but its stream id.
func buildRequest(service, method string, e encoder, timeout int64, md MD, flags uint8, limit int) (*frame, error) {
	if err := checkStrings(service, method, md); err != nil {
		return nil, err
	}
	size := requestHeadSize(service, method) + fieldSize(e.size) + requestTailSize(timeout, md)
	if err := oversized(size, limit); err != nil {
		return nil, err
	}
	f := startFrame(size)
	b, err := appendPayload(appendRequestHead(f.b, service, method), tagRequestPayload, e)
	if err != nil {
		f.free()
		return nil, err
	}
	f.b = appendRequestTail(b, timeout, md)
	f.seal(typeRequest, flags)
	return f, nil
}

// buildResponse encodes a Response frame with a message, all but its stream id.
func buildResponse(e encoder, limit int) (*frame, error) {
	if err := oversized(fieldSize(e.size), limit); err != nil {
		return nil, err
	}
	f := startFrame(fieldSize(e.size))
	b, err := appendPayload(f.b, tagResponsePayload, e)
	if err != nil {
		f.free()
		return nil, err
	}
	f.b = b
	f.seal(typeResponse, 0)
	return f, nil
}

// buildStatus encodes a Response frame with a status. One that is over the limit is cut down to what it says
// without details, and then to its code.
func buildStatus(st *spb.Status, limit int) *frame {
	if !utf8.ValidString(st.Message) {
		st = &spb.Status{Code: st.Code, Message: strings.ToValidUTF8(st.Message, "\uFFFD"), Details: st.Details}
	}
	size := proto.Size(st)
	if fieldSize(size) > limit {
		st = &spb.Status{Code: st.Code, Message: cut(st.Message, min(limit/2, 1<<10))}
		size = proto.Size(st)
	}
	f := startFrame(1 + protowire.SizeBytes(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(appendBytesHeader(f.b, tagResponseStatus, size), st)
	if err != nil { // details that do not encode
		f.free()
		return buildStatus(&spb.Status{Code: st.Code, Message: st.Message}, limit)
	}
	f.b = b
	f.seal(typeResponse, 0)
	return f
}

func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// buildData encodes a Data frame, all but its stream id.
func buildData(e encoder, flags uint8, limit int) (*frame, error) {
	if err := oversized(e.size, limit); err != nil {
		return nil, err
	}
	f := startFrame(e.size)
	b, err := e.append(f.b)
	if err != nil {
		f.free()
		return nil, err
	}
	f.b = b
	f.seal(typeData, flags)
	return f, nil
}

// buildEnd is a Data frame that closes a side of a stream without a message.
func buildEnd() *frame {
	f := startFrame(0)
	f.seal(typeData, flagRemoteClosed|flagNoData)
	return f
}

// appendPayload appends e as a bytes field, whose tag is left out when it is empty.
func appendPayload(b []byte, tag uint64, e encoder) ([]byte, error) {
	if e.size > 0 {
		b = appendBytesHeader(b, tag, e.size)
	}
	return e.append(b)
}

func (m MD) valid() bool {
	for key, values := range m {
		if !utf8.ValidString(key) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return true
}

// checkStrings refuses what no peer would parse, in the protobuf module's words.
func checkStrings(service, method string, md MD) error {
	valid := utf8.ValidString(service) && utf8.ValidString(method) && (len(md) == 0 || md.valid())
	if valid {
		return nil
	}
	_, err := proto.Marshal(&Request{Service: service, Method: method, Metadata: md.keyValues()})
	return err
}

func requestHeadSize(service, method string) int {
	return fieldSize(len(service)) + fieldSize(len(method))
}

func appendRequestHead(b []byte, service, method string) []byte {
	return appendString(appendString(b, tagRequestService, service), tagRequestMethod, method)
}

func requestTailSize(timeout int64, md MD) int {
	n := 0
	if timeout != 0 {
		n += 1 + protowire.SizeVarint(uint64(timeout))
	}
	if len(md) > 0 {
		n += metadataSize(md)
	}
	return n
}

// The loops over metadata stand in functions of their own: a map's iterator takes room on the stack, which most
// calls need not have.

func metadataSize(md MD) int {
	n := 0
	for key, values := range md {
		for _, value := range values {
			n += 1 + protowire.SizeBytes(fieldSize(len(key))+fieldSize(len(value)))
		}
	}
	return n
}

func appendRequestTail(b []byte, timeout int64, md MD) []byte {
	if timeout != 0 {
		b = protowire.AppendVarint(append(b, tagRequestTimeout), uint64(timeout))
	}
	if len(md) > 0 {
		b = appendMetadata(b, md)
	}
	return b
}

func appendMetadata(b []byte, md MD) []byte {
	for key, values := range md {
		for _, value := range values {
			b = appendKeyValue(b, key, value)
		}
	}
	return b
}

func appendKeyValue(b []byte, key, value string) []byte {
	b = appendBytesHeader(b, tagRequestMetadata, fieldSize(len(key))+fieldSize(len(value)))
	return appendString(appendString(b, tagKeyValueKey, key), tagKeyValueValue, value)
}

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

// requestError words a failure of parseRequest as the protobuf module does.
func requestError(b []byte) error {
	if err := proto.Unmarshal(b, new(Request)); err != nil {
		return err
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
