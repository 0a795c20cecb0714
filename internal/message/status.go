package message

import (
	"strings"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc/internal/wire"
)

const maxCutText = 1 << 10 // bytes of a status's text where all of it is over the limit

// Status encodes a Response with a status. One that is over the limit is cut down to what it says
// without details, and then to its code.
func Status(st *spb.Status, limit int) *wire.Frame {
	if !utf8.ValidString(st.Message) {
		st = &spb.Status{Code: st.Code, Message: strings.ToValidUTF8(st.Message, "\uFFFD"), Details: st.Details}
	}
	size := proto.Size(st)
	if wire.FieldSize(size) > limit {
		st = &spb.Status{Code: st.Code, Message: cutText(st.Message, min(limit/2, maxCutText))}
		size = proto.Size(st)
	}
	f := wire.StartFrame(1 + protowire.SizeBytes(size))
	head := wire.AppendStatusHead(f.Bytes(), size)
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(head, st)
	if err != nil { // details that do not encode
		f.Free()
		return Status(&spb.Status{Code: st.Code, Message: st.Message}, limit)
	}
	f.SetBytes(b)
	f.Seal(wire.TypeResponse, 0)
	return f
}

func cutText(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }
