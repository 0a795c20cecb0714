package ttrpc

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc/internal/codec"
)

// A message of any generation becomes bytes, and back, in internal/codec. Here what fails has its
// error. Messages get into frames in channel.go.

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
