// Package message has users' messages, and statuses, in the frames of their Requests, Responses and
// Data, all but the stream ids. It knows no connection, and no message but by its codec.Encoder.
package message

import (
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/wire"
)

// Oversized refuses a frame whose data would be over the limit, in bytes. It is plain data.
type Oversized struct{ Length, Limit int }

// Error is for tests: users get an error with the numbers.
func (e *Oversized) Error() string { return "message over the limit" }

// Request encodes a Request. Strings that no peer would parse are refused in the protobuf module's
// words.
func Request(
	service, method string, e codec.Encoder, timeout int64, md map[string][]string, flags uint8, limit int,
) (*wire.Frame, error) {
	if !utf8.ValidString(service) || !utf8.ValidString(method) || len(md) > 0 && !wire.ValidMetadata(md) {
		_, err := proto.Marshal(&spb.Status{Message: "\xff"})
		return nil, err
	}
	size := wire.RequestSize(service, method, e.Size(), timeout, md)
	return frameOf(wire.TypeRequest, flags, size, limit, func(b []byte) ([]byte, error) {
		b, err := e.Append(wire.AppendRequestHead(b, service, method, e.Size()))
		if err != nil {
			return nil, err
		}
		return wire.AppendRequestTail(b, timeout, md), nil
	})
}

// Response encodes a Response with a message.
func Response(e codec.Encoder, limit int) (*wire.Frame, error) {
	return frameOf(wire.TypeResponse, 0, wire.FieldSize(e.Size()), limit, func(b []byte) ([]byte, error) {
		return e.Append(wire.AppendResponseHead(b, e.Size()))
	})
}

// Data encodes a Data frame.
func Data(e codec.Encoder, flags uint8, limit int) (*wire.Frame, error) {
	return frameOf(wire.TypeData, flags, e.Size(), limit, e.Append)
}

// frameOf makes a frame of the data that build appends: so many bytes, if the limit allows them.
func frameOf(typ wire.Type, flags uint8, size, limit int, build func(b []byte) ([]byte, error)) (*wire.Frame, error) {
	if size > limit {
		return nil, &Oversized{size, limit}
	}
	f := wire.StartFrame(size)
	b, err := build(f.Bytes())
	if err != nil {
		f.Free()
		return nil, err
	}
	f.SetBytes(b)
	f.Seal(typ, flags)
	return f, nil
}

// Malformed is the error for bytes that do not parse as an envelope of m's kind, in the protobuf
// module's words. More than most bytes are not shown to it: what it parses before it fails takes a
// multiple of the bytes.
func Malformed(b []byte, m proto.Message, most int) error {
	if len(b) <= most {
		if err := proto.Unmarshal(b, m); err != nil {
			return err
		}
	}
	return wire.ErrMalformed
}
