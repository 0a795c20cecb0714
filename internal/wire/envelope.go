package wire

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The tags of the envelopes' fields, as in request.proto: number<<3 | wire type (2 is
// length-delimited, 0 is a varint).
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

// FieldSize is the size of a field of n bytes with a one-byte tag; an empty field is not written.
func FieldSize(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

// The fields of a Request go out in the order of their numbers, as protobuf writes them:
// head, payload, tail.

// RequestSize is the size of a Request whose payload has so many bytes.
func RequestSize(service, method string, payload int, timeout int64, md map[string][]string) int {
	n := FieldSize(len(service)) + FieldSize(len(method)) + FieldSize(payload)
	if timeout != 0 {
		n += 1 + protowire.SizeVarint(uint64(timeout))
	}
	if len(md) > 0 {
		n += metadataSize(md)
	}
	return n
}

// AppendRequestHead appends what stands in front of a payload of so many bytes,
// which the caller appends next.
func AppendRequestHead(b []byte, service, method string, payload int) []byte {
	b = appendString(appendString(b, tagRequestService, service), tagRequestMethod, method)
	return appendPayloadHeader(b, tagRequestPayload, payload)
}

// AppendRequestTail appends what stands behind the payload.
func AppendRequestTail(b []byte, timeout int64, md map[string][]string) []byte {
	if timeout != 0 {
		b = protowire.AppendVarint(append(b, tagRequestTimeout), uint64(timeout))
	}
	if len(md) > 0 {
		b = appendMetadata(b, md)
	}
	return b
}

// AppendResponseHead appends what stands in front of a payload of so many bytes,
// which the caller appends next.
func AppendResponseHead(b []byte, payload int) []byte {
	return appendPayloadHeader(b, tagResponsePayload, payload)
}

// AppendStatusHead appends what stands in front of an encoded status of so many bytes, 0 included.
func AppendStatusHead(b []byte, size int) []byte {
	return appendBytesHeader(b, tagResponseStatus, size)
}

// appendPayloadHeader starts a bytes field, which is left out when it is empty.
func appendPayloadHeader(b []byte, tag uint64, n int) []byte {
	if n == 0 {
		return b
	}
	return appendBytesHeader(b, tag, n)
}

func appendBytesHeader(b []byte, tag uint64, n int) []byte {
	return protowire.AppendVarint(protowire.AppendVarint(b, tag), uint64(n))
}

func appendString(b []byte, tag uint64, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendVarint(b, tag), s)
}

// The loops over metadata stand in functions of their own: a map's iterator takes room on the
// stack, which most calls need not have.

func metadataSize(md map[string][]string) int {
	n := 0
	for key, values := range md {
		for _, value := range values {
			n += 1 + protowire.SizeBytes(FieldSize(len(key))+FieldSize(len(value)))
		}
	}
	return n
}

func appendMetadata(b []byte, md map[string][]string) []byte {
	for key, values := range md {
		for _, value := range values {
			b = appendKeyValue(b, key, value)
		}
	}
	return b
}

func appendKeyValue(b []byte, key, value string) []byte {
	b = appendBytesHeader(b, tagRequestMetadata, FieldSize(len(key))+FieldSize(len(value)))
	return appendString(appendString(b, tagKeyValueKey, key), tagKeyValueValue, value)
}

// ValidMetadata reports whether all keys and values are what a peer parses: UTF-8.
func ValidMetadata(md map[string][]string) bool {
	for key, values := range md {
		if !utf8.ValidString(key) {
			return false
		}
		for _, value := range values {
			if !utf8.ValidString(value) {
				return false
			}
		}
	}
	return true
}
