//go:build go1.25

package message

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc/internal/codec"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// frames are what there is to build, each with a payload of its own.
func frames(e codec.Encoder, limit int) map[string]func() (*wire.Frame, error) {
	return map[string]func() (*wire.Frame, error){
		"request":  func() (*wire.Frame, error) { return Request("s", "m", e, 5, map[string][]string{"k": {"v"}}, 3, limit) },
		"response": func() (*wire.Frame, error) { return Response(e, limit) },
		"data":     func() (*wire.Frame, error) { return Data(e, 5, limit) },
	}
}

// What was built parses as what it was built of.
func TestFramesHaveTheirMessage(t *testing.T) {
	payload := []byte("payload")
	all := frames(codec.Encoded(payload), wire.DefaultMaxData)
	headers := map[string]wire.Header{
		"request":  {Type: wire.TypeRequest, Flags: 3},
		"response": {Type: wire.TypeResponse},
		"data":     {Type: wire.TypeData, Flags: 5},
	}
	for name, build := range all {
		f, err := build()
		testkit.Check(t, err)
		defer f.Free()
		want := headers[name]
		want.Length = uint32(len(f.Data()))
		testkit.Equal(t, wire.ParseHeader(f.Bytes()), want)
		got := f.Data()
		switch name {
		case "request":
			v, err := wire.ParseRequest(got)
			testkit.Check(t, err)
			testkit.Equal(t, fmt.Sprintf("%s %s %d %d", v.Service, v.Method, v.Timeout, v.Metadata), "s m 5 1")
			testkit.Equal(t, fmt.Sprint(wire.RequestMetadata(got, v.Metadata)), "map[k:[v]]")
			got = got[v.PayloadAt : v.PayloadAt+v.PayloadLen]
		case "response":
			v, err := wire.ParseResponse(got)
			testkit.Check(t, err)
			testkit.Equal(t, v.HasStatus, false)
			got = v.Payload
		}
		testkit.Equal(t, string(got), string(payload))
	}
}

// A limit is that of the data, to the byte.
func TestFramesKeepToTheLimit(t *testing.T) {
	for name := range frames(codec.Encoder{}, 0) {
		build := func(limit int) (*wire.Frame, error) { return frames(codec.Encoded([]byte("payload")), limit)[name]() }
		whole, err := build(wire.DefaultMaxData)
		testkit.Check(t, err)
		defer whole.Free()
		size := len(whole.Data())
		f, err := build(size)
		testkit.Check(t, err)
		f.Free()
		_, err = build(size - 1)
		var large *Oversized
		if !errors.As(err, &large) || *large != (Oversized{size, size - 1}) || large.Error() == "" {
			t.Errorf("%s: got %v, want the refusal of %d bytes", name, err, size)
		}
	}
}

// What is no UTF-8 fails as the protobuf module has it fail, wherever it stands.
func TestRequestRefusesInvalidStrings(t *testing.T) {
	const bad = "\xff"
	_, protobufs := proto.Marshal(wrapperspb.String(bad))
	message, err := codec.EncoderFor(wrapperspb.String(bad))
	testkit.Check(t, err)
	for _, c := range []struct {
		name, service, method string
		md                    map[string][]string
		e                     codec.Encoder
	}{
		{name: "service", service: bad},
		{name: "method", method: bad},
		{name: "key", md: map[string][]string{bad: {"v"}}},
		{name: "value", md: map[string][]string{"k": {"v", bad}}},
		{name: "message", e: message},
	} {
		_, err := Request(c.service, c.method, c.e, 0, c.md, 0, 100)
		if err == nil || err.Error() != protobufs.Error() {
			t.Errorf("%s: got error %v, want the protobuf module's, %v", c.name, err, protobufs)
		}
	}
}

// The protobuf module says what is wrong with few bytes, and is not asked about many.
func TestMalformedIsWordedByProtobuf(t *testing.T) {
	few, many := []byte{0xff}, bytes.Repeat([]byte{0xff}, 101)
	protobufs := proto.Unmarshal(few, new(spb.Status))
	testkit.Equal(t, Malformed(few, new(spb.Status), 100).Error(), protobufs.Error())
	testkit.WantExactly(t, Malformed(many, new(spb.Status), 100), wire.ErrMalformed)
	// What that module takes for valid is a failure all the same.
	testkit.WantExactly(t, Malformed(nil, new(spb.Status), 100), wire.ErrMalformed)
}
