//go:build go1.25

package message

import (
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

func TestStatusFitsTheLimit(t *testing.T) {
	detail, err := anypb.New(wrapperspb.String("detail"))
	testkit.Check(t, err)
	large := strings.Repeat("é", 10_000)
	for _, test := range []struct {
		name     string
		st, want *spb.Status
		limit    int
	}{
		{name: "plain", st: &spb.Status{Code: 5, Message: "gone"}},
		{name: "empty", st: &spb.Status{}},
		{name: "details", st: &spb.Status{Code: 5, Message: "gone", Details: []*anypb.Any{detail, detail}}},
		{name: "large", st: &spb.Status{Code: 5, Message: large}},
		{name: "invalid UTF-8", st: &spb.Status{Code: 5, Message: "a\xffb", Details: []*anypb.Any{detail}},
			want: &spb.Status{Code: 5, Message: "a\uFFFDb", Details: []*anypb.Any{detail}}},
		{name: "details over the limit", st: &spb.Status{Code: 5, Message: "gone", Details: []*anypb.Any{detail}}, limit: 60,
			want: &spb.Status{Code: 5, Message: "gone"}},
		{name: "text over the limit", st: &spb.Status{Code: 5, Message: large}, limit: 1001,
			want: &spb.Status{Code: 5, Message: large[:500]}},
		{name: "invalid details", st: &spb.Status{Code: 5, Message: "gone", Details: []*anypb.Any{{TypeUrl: "\xff"}}},
			want: &spb.Status{Code: 5, Message: "gone"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want == nil {
				test.want = test.st
			}
			if test.limit == 0 {
				test.limit = wire.DefaultMaxData
			}
			f := Status(test.st, test.limit)
			defer f.Free()
			v, err := wire.ParseResponse(f.Data())
			testkit.Check(t, err)
			got := new(spb.Status)
			testkit.Check(t, proto.Unmarshal(v.Status, got))
			if !proto.Equal(got, test.want) || len(f.Data()) > test.limit {
				t.Errorf("got %v in %d bytes, want %v", got, len(f.Data()), test.want)
			}
			testkit.Equal(t, v.HasStatus && v.Payload == nil, true)
			testkit.Equal(t, wire.ParseHeader(f.Bytes()).Type, wire.TypeResponse)
		})
	}
}
