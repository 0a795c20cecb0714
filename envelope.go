package ttrpc

import (
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/wire"
)

// The frames that carry messages, built around an encoder: all but their stream id.

// requestFrame encodes a Request.
func requestFrame(service, method string, e encoder, timeout int64, md MD, flags uint8, limit int) (*wire.Frame, error) {
	if err := checkStrings(service, method, md); err != nil {
		return nil, err
	}
	size := wire.RequestSize(service, method, e.size, timeout, md)
	if err := oversized(size, limit); err != nil {
		return nil, err
	}
	f := wire.StartFrame(size)
	b, err := e.append(wire.AppendRequestHead(f.Bytes(), service, method, e.size))
	if err != nil {
		f.Free()
		return nil, err
	}
	f.SetBytes(wire.AppendRequestTail(b, timeout, md))
	f.Seal(wire.TypeRequest, flags)
	return f, nil
}

// responseFrame encodes a Response with a message.
func responseFrame(e encoder, limit int) (*wire.Frame, error) {
	size := wire.FieldSize(e.size)
	if err := oversized(size, limit); err != nil {
		return nil, err
	}
	f := wire.StartFrame(size)
	b, err := e.append(wire.AppendResponseHead(f.Bytes(), e.size))
	if err != nil {
		f.Free()
		return nil, err
	}
	f.SetBytes(b)
	f.Seal(wire.TypeResponse, 0)
	return f, nil
}

// dataFrame encodes a Data frame.
func dataFrame(e encoder, flags uint8, limit int) (*wire.Frame, error) {
	if err := oversized(e.size, limit); err != nil {
		return nil, err
	}
	f := wire.StartFrame(e.size)
	b, err := e.append(f.Bytes())
	if err != nil {
		f.Free()
		return nil, err
	}
	f.SetBytes(b)
	f.Seal(wire.TypeData, flags)
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
