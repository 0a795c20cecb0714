package ttrpc

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/wire"
)

// A message of any generation becomes bytes, and back, in internal/codec. Here it gets into frames,
// with all but their stream id, and what fails has its error.

// requestFrame encodes a Request.
func requestFrame(service, method string, e codec.Encoder, timeout int64, md MD, flags uint8, limit int) (*wire.Frame, error) {
	if err := checkStrings(service, method, md); err != nil {
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

// responseFrame encodes a Response with a message.
func responseFrame(e codec.Encoder, limit int) (*wire.Frame, error) {
	return frameOf(wire.TypeResponse, 0, wire.FieldSize(e.Size()), limit, func(b []byte) ([]byte, error) {
		return e.Append(wire.AppendResponseHead(b, e.Size()))
	})
}

// dataFrame encodes a Data frame.
func dataFrame(e codec.Encoder, flags uint8, limit int) (*wire.Frame, error) {
	return frameOf(wire.TypeData, flags, e.Size(), limit, e.Append)
}

// frameOf makes a frame of the data that build appends: so many bytes, if the limit allows them.
func frameOf(typ wire.Type, flags uint8, size, limit int, build func(b []byte) ([]byte, error)) (*wire.Frame, error) {
	if err := oversized(size, limit); err != nil {
		return nil, err
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

// checkStrings refuses what no peer would parse, in the protobuf module's words.
func checkStrings(service, method string, md MD) error {
	if utf8.ValidString(service) && utf8.ValidString(method) && (len(md) == 0 || wire.ValidMetadata(md)) {
		return nil
	}
	_, err := proto.Marshal(&Request{Service: service, Method: method, Metadata: md.keyValues()})
	return err
}

const maxReparsed = 64 << 10 // bytes of a malformed Request that is parsed again for its error

// requestError words a failure of wire.ParseRequest as the protobuf module does. A large one is not
// shown to it: what it parses before it fails takes a multiple of the bytes.
func requestError(b []byte) error {
	if len(b) <= maxReparsed {
		if err := proto.Unmarshal(b, new(Request)); err != nil {
			return err
		}
	}
	return wire.ErrMalformed
}

// responseError words a failure of wire.ParseResponse as the protobuf module does.
func responseError(b []byte) error {
	if err := proto.Unmarshal(b, new(Response)); err != nil {
		return err
	}
	return wire.ErrMalformed
}

// unmarshalRequest decodes with errors that are statuses. Of b nothing is kept: a method may decode
// its request again.
func unmarshalRequest(b []byte, m any) error { return unmarshalError(codec.Decode(b, m), m) }

// unmarshalError words a failure to decode m.
func unmarshalError(err error, m any) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, codec.ErrUnknownType) {
		return status.Errorf(codes.Internal, "ttrpc: error unsupported request type: %T", m)
	}
	return status.Errorf(codes.Internal, "ttrpc: error unmarshalling payload: %v", err)
}

// responseEncoder is EncoderFor with a server's errors.
func responseEncoder(resp any) (codec.Encoder, error) {
	e, err := codec.EncoderFor(resp)
	if err != nil {
		return e, status.Errorf(codes.Internal, "ttrpc: error unsupported response type: %T", resp)
	}
	return e, nil
}

// marshalError words a failure to encode a server's message.
// The refusal of an oversized one stays what it is.
func marshalError(err error) error {
	if err == nil {
		return nil
	}
	if large := asOversized(err); large != nil {
		return large.Unwrap()
	}
	return status.Errorf(codes.Internal, "ttrpc: error marshaling payload: %v", err)
}

func asOversized(err error) *OversizedMessageErr {
	var large *OversizedMessageErr
	errors.As(err, &large)
	return large
}

// isNil reports whether v is nil, or a pointer that is.
func isNil(v any) bool { return codec.IsNil(v) }
