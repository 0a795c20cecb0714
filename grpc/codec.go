package grpcttrpc

import (
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
		m, size = &encoded{data: data}, func(any) int { return len(data) }
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

// target returns what ttrpc is to decode into for a message of the caller's.
func (c *call) target(m any) any {
	switch {
	case c.codec != nil:
		return &encoded{codec: c.codec, into: m, max: c.maxRecv}
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

// encoded is a message whose bytes a forced codec makes, and decodes. To ttrpc it is a message with
// its own Marshal and Unmarshal.
type encoded struct {
	data  []byte
	codec codec
	into  any
	max   *int
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
	return e.codec.Unmarshal(data, e.into)
}
