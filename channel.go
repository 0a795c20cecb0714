package ttrpc

import (
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/wire"
)

// Users' messages are in frames here, and come out of them: Request and Response around them, and
// all of a frame but its stream id. What is on a connection and who reads it is in internal/conn.

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

// responseStatus decodes the status of a Response that was parsed from b;
// it is nil where there is none.
func responseStatus(v wire.ResponseView, b []byte) (*spb.Status, error) {
	switch {
	case !v.HasStatus:
		return nil, nil
	case v.Merge:
		r := new(Response)
		err := proto.Unmarshal(b, r)
		return r.Status, err
	}
	st := new(spb.Status)
	return st, proto.Unmarshal(v.Status, st)
}
