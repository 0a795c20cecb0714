// Package healthpb has the messages of grpc.health.v1. They are encoded by their own methods and
// have no descriptors: a program may link grpc's own, and no file can be registered twice.
package healthpb

import (
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/ttrpc/internal/fields"
)

// Request is a HealthCheckRequest. It is plain data.
type Request struct{ Service string }

// Reset empties the message.
func (m *Request) Reset() { *m = Request{} }

// String is for logs.
func (m *Request) String() string { return fmt.Sprintf("service:%q", m.Service) }

// ProtoMessage marks a message.
func (*Request) ProtoMessage() {}

// Marshal encodes the message.
func (m *Request) Marshal() ([]byte, error) { return fields.AppendText(nil, 1, m.Service), nil }

// Unmarshal merges an encoded message into this one.
func (m *Request) Unmarshal(b []byte) error {
	for f, err := range fields.All(b) {
		if err == nil && f.IsBytes(1) {
			m.Service, err = f.Text()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Response is a HealthCheckResponse. It is plain data.
type Response struct{ Status int32 }

// Reset empties the message.
func (m *Response) Reset() { *m = Response{} }

// String is for logs.
func (m *Response) String() string { return fmt.Sprint("status:", m.Status) }

// ProtoMessage marks a message.
func (*Response) ProtoMessage() {}

// Marshal encodes the message.
func (m *Response) Marshal() ([]byte, error) {
	return fields.AppendInt32(nil, 1, m.Status), nil
}

// Unmarshal merges an encoded message into this one.
func (m *Response) Unmarshal(b []byte) error {
	for f, err := range fields.All(b) {
		if err != nil {
			return err
		}
		if f.IsVarint(1) {
			m.Status = int32(f.Varint)
		}
	}
	return nil
}

// ListRequest is a HealthListRequest, which has no fields.
type ListRequest struct{}

// Reset empties the message.
func (*ListRequest) Reset() {}

// String is for logs.
func (*ListRequest) String() string { return "" }

// ProtoMessage marks a message.
func (*ListRequest) ProtoMessage() {}

// Marshal encodes the message.
func (*ListRequest) Marshal() ([]byte, error) { return nil, nil }

// Unmarshal merges an encoded message into this one.
func (*ListRequest) Unmarshal(b []byte) error {
	for _, err := range fields.All(b) {
		if err != nil {
			return err
		}
	}
	return nil
}

// ListResponse is a HealthListResponse: a map of HealthCheckResponses by service. It is plain data.
type ListResponse struct{ Statuses map[string]int32 }

// Reset empties the message.
func (m *ListResponse) Reset() { *m = ListResponse{} }

// String is for logs.
func (m *ListResponse) String() string { return fmt.Sprint("statuses:", m.Statuses) }

// ProtoMessage marks a message.
func (*ListResponse) ProtoMessage() {}

// Marshal writes key and value of each entry even where they are empty, as protobuf does.
func (m *ListResponse) Marshal() (b []byte, err error) {
	for _, service := range slices.Sorted(maps.Keys(m.Statuses)) {
		value := fields.AppendInt32(nil, 1, m.Statuses[service])
		entry := fields.AppendBytes(fields.AppendBytes(nil, 1, service), 2, value)
		b = fields.AppendBytes(b, 1, entry)
	}
	return b, nil
}

// Unmarshal merges an encoded message into this one.
func (m *ListResponse) Unmarshal(b []byte) error {
	for f, err := range fields.All(b) {
		if err == nil && f.IsBytes(1) {
			err = m.unmarshalEntry(f.Bytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *ListResponse) unmarshalEntry(b []byte) error {
	var service string
	var value Response
	for f, err := range fields.All(b) {
		if err == nil && f.IsBytes(1) {
			service, err = f.Text()
		} else if err == nil && f.IsBytes(2) {
			err = value.Unmarshal(f.Bytes)
		}
		if err != nil {
			return err
		}
	}
	if m.Statuses == nil {
		m.Statuses = map[string]int32{}
	}
	m.Statuses[service] = value.Status
	return nil
}
