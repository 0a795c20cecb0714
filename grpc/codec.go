package grpcttrpc

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"
)

// codec is what a call option forces, in place of ttrpc's own treatment of messages.
type codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// Marshal implements codec.
func (c codecV2) Marshal(v any) ([]byte, error) {
	data, err := c.CodecV2.Marshal(v)
	if err != nil {
		return nil, err
	}
	defer data.Free()
	return data.Materialize(), nil
}

// Unmarshal implements codec.
func (c codecV2) Unmarshal(data []byte, v any) error {
	return c.CodecV2.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, v)
}

// encode returns what ttrpc is to send for a message: the message, or the bytes that a forced codec
// makes of it. Its errors are statuses.
func (c *call) encode(m any) (any, error) {
	size := sizeOf
	if c.codec != nil {
		data, err := c.codec.Marshal(m)
		if err != nil {
			return nil, status.Errorf(codes.Internal, "grpcttrpc: error while marshaling: %v", err)
		}
		m, size = &encoded{data: data, message: m}, func(any) int { return len(data) }
	}
	if m == nil { // which grpc sends as a message of no bytes
		m = new(emptypb.Empty)
	}
	if c.maxSend != nil {
		if n := size(m); n > *c.maxSend {
			return nil, status.Errorf(codes.ResourceExhausted, "grpcttrpc: trying to send message larger than max (%d vs. %d)", n, *c.maxSend)
		}
	}
	return m, nil
}

// encodeAnswer encodes a message that goes out later: the handler may change it as soon as SendMsg
// has returned. Its errors are statuses.
func encodeAnswer(m any) (*encoded, error) {
	var data []byte
	err := fmt.Errorf("%T is no message", m)
	switch m := m.(type) {
	case nil: // which grpc sends as a message of no bytes
		err = nil
	case proto.Message:
		data, err = proto.Marshal(m)
	case interface{ Marshal() ([]byte, error) }: // gogo's
		data, err = m.Marshal()
	case protoadapt.MessageV1:
		data, err = proto.Marshal(protoadapt.MessageV2Of(m))
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpcttrpc: error while marshaling: %v", err)
	}
	return &encoded{data: data, message: m}, nil
}

// target returns what ttrpc is to decode into for a message of the caller's.
func (c *call) target(m any) any {
	switch {
	case c.codec != nil:
		return &encoded{codec: c.codec, message: m, max: c.maxRecv}
	case m == nil:
		return new(emptypb.Empty)
	}
	return m
}

// checkReceived holds a message that ttrpc has decoded to the call's limit.
func (c *call) checkReceived(m any) error {
	if c.maxRecv == nil || c.codec != nil {
		return nil
	}
	return checkSize(sizeOf(m), *c.maxRecv)
}

func checkSize(n, limit int) error {
	if n <= limit {
		return nil
	}
	return status.Errorf(codes.ResourceExhausted, "grpcttrpc: received message larger than max (%d vs. %d)", n, limit)
}

// sizeOf is the encoded size of a message, 0 for what is none.
func sizeOf(m any) int {
	switch m := m.(type) {
	case proto.Message:
		return proto.Size(m)
	case protoadapt.MessageV1:
		return proto.Size(protoadapt.MessageV2Of(m))
	}
	return 0
}

// encoded is a message whose bytes were made before, or are a forced codec's. To ttrpc it is a
// message with its own Marshal and Unmarshal.
type encoded struct {
	message any // of the user
	data    []byte
	codec   codec
	max     *int
}

// userMessage is the message as the user has it.
func userMessage(m any) any {
	if e, ok := m.(*encoded); ok {
		return e.message
	}
	return m
}

// ProtoMessage marks it as a message.
func (*encoded) ProtoMessage() {}

// Reset does nothing: the codec resets its message.
func (*encoded) Reset() {}

// String is there since messages have it.
func (*encoded) String() string { return "a message of a forced codec" }

// Marshal returns what the codec has made.
func (e *encoded) Marshal() ([]byte, error) { return e.data, nil }

// Unmarshal has the codec decode. The bytes are its own to keep.
func (e *encoded) Unmarshal(data []byte) error {
	if e.max != nil {
		if err := checkSize(len(data), *e.max); err != nil {
			return err
		}
	}
	return e.codec.Unmarshal(data, e.message)
}
