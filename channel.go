package ttrpc

import (
	"errors"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/message"
	"github.com/containerd/ttrpc/internal/wire"
)

// What is on the channel between two sides: users' messages in the frames of Request, Response and
// Data, over internal/message. What a connection is, and who reads it, is in internal/conn.

// requestFrame encodes a Request.
func requestFrame(service, method string, e codec.Encoder, timeout int64, md MD, flags uint8, limit int) (*wire.Frame, error) {
	return withinLimit(message.Request(service, method, e, timeout, md, flags, limit))
}

// responseFrame encodes a Response with a message.
func responseFrame(e codec.Encoder, limit int) (*wire.Frame, error) {
	return withinLimit(message.Response(e, limit))
}

// dataFrame encodes a Data frame.
func dataFrame(e codec.Encoder, flags uint8, limit int) (*wire.Frame, error) {
	return withinLimit(message.Data(e, flags, limit))
}

// withinLimit refuses what is too large with the error that users know.
func withinLimit(f *wire.Frame, err error) (*wire.Frame, error) {
	if err != nil {
		err = sendError(err)
	}
	return f, err
}

// sendError is apart from withinLimit so that this is inlined.
func sendError(err error) error {
	var large *message.Oversized
	if errors.As(err, &large) {
		return oversized(large.Length, large.Limit)
	}
	return err
}

const maxReparsed = 64 << 10 // bytes of a malformed Request that is parsed again for its error

// requestError words a failure of wire.ParseRequest.
func requestError(b []byte) error { return message.Malformed(b, new(Request), maxReparsed) }

// responseError words a failure of wire.ParseResponse.
func responseError(b []byte) error { return message.Malformed(b, new(Response), len(b)) }

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
