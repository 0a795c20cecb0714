package ttrpc

import (
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
