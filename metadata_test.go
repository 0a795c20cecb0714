//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/wire"
)

func TestMDGet(t *testing.T) {
	md := ttrpc.MD{"key": {"1", "2"}, "Raw": {"0"}, "empty": {}, "nil": nil}
	for key, want := range map[string]string{
		"key": "[1 2] true", "KEY": "[1 2] true", "Raw": "[] false", "raw": "[] false", "empty": "[] false",
		"nil": "[] false", "none": "[] false", "": "[] false",
	} {
		values, ok := md.Get(key)
		equal(t, fmt.Sprint(values, " ", ok), want)
		equal(t, values != nil, ok)
	}
	values, ok := ttrpc.MD(nil).Get("key")
	equal(t, values == nil && !ok, true)
}

func TestMDSetAndAppend(t *testing.T) {
	md := ttrpc.MD{"Raw": {"0"}}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { md.Set("Key", "1", "2") }, "map[Raw:[0] key:[1 2]]"},
		{func() { md.Set("KEY", "3") }, "map[Raw:[0] key:[3]]"},
		{func() { md.Append("key", "4") }, "map[Raw:[0] key:[3 4]]"},
		{func() { md.Append("KEY") }, "map[Raw:[0] key:[3 4]]"},
		{func() { md.Append("new") }, "map[Raw:[0] key:[3 4]]"},
		{func() { md.Append("Raw", "5") }, "map[Raw:[0] key:[3 4] raw:[5]]"},
		{func() { md.Set("key") }, "map[Raw:[0] raw:[5]]"},
		{func() { md.Set("none") }, "map[Raw:[0] raw:[5]]"},
		{func() { md.Set("", "x") }, "map[:[x] Raw:[0] raw:[5]]"},
	} {
		step.do()
		equal(t, fmt.Sprint(md), step.want)
	}
	ttrpc.MD(nil).Set("key")
	ttrpc.MD(nil).Append("key")
}

func TestMDClone(t *testing.T) {
	if ttrpc.MD(nil).Clone() != nil || (ttrpc.MD{}).Clone() == nil {
		t.Error("nil and empty are not kept apart")
	}
	md := ttrpc.MD{"key": {"1"}, "two": {"2", "3"}, "empty": {}, "nil": nil}
	clone := md.Clone()
	equal(t, fmt.Sprint(clone), fmt.Sprint(md))
	if clone["nil"] != nil || clone["empty"] == nil {
		t.Error("nil and empty lists are not kept apart")
	}
	clone["key"][0] = "changed"
	clone.Append("key", "more")
	clone.Append("two", "more")
	clone.Set("new", "x")
	equal(t, fmt.Sprint(md), "map[empty:[] key:[1] nil:[] two:[2 3]]")
	equal(t, fmt.Sprint(clone), "map[empty:[] key:[changed more] new:[x] nil:[] two:[2 3 more]]")
}

func TestMetadataOfContexts(t *testing.T) {
	for _, test := range []struct {
		ctx  context.Context
		want string
	}{
		{bg, "map[] true false;  false"},
		{ttrpc.WithMetadata(bg, nil), "map[] true true;  false"},
		{ttrpc.WithMetadata(bg, ttrpc.MD{}), "map[] false true;  false"},
		{ttrpc.WithMetadata(bg, ttrpc.MD{"key": {}}), "map[key:[]] false true;  false"},
		{ttrpc.WithMetadata(bg, ttrpc.MD{"key": {"1", "2"}}), "map[key:[1 2]] false true; 1 true"},
		{ttrpc.WithMetadata(bg, ttrpc.MD{"Key": {"1"}}), "map[Key:[1]] false true;  false"},
		{ttrpc.WithMetadata(ttrpc.WithMetadata(bg, ttrpc.MD{"key": {"1"}}), ttrpc.MD{"other": {"2"}}), "map[other:[2]] false true;  false"},
	} {
		md, ok := ttrpc.GetMetadata(test.ctx)
		value, found := ttrpc.GetMetadataValue(test.ctx, "KEY")
		equal(t, fmt.Sprint(md, md == nil, ok, "; ", value, " ", found), test.want)
	}
}

// A context's metadata is nobody's to change.
func TestMetadataOfContextsIsACopy(t *testing.T) {
	mine := ttrpc.MD{"key": {"1"}}
	ctx := ttrpc.WithMetadata(bg, mine)
	mine.Set("key", "changed")
	got, _ := ttrpc.GetMetadata(ctx)
	equal(t, fmt.Sprint(got), "map[key:[1]]")
	got["key"][0] = "changed"
	got.Set("more", "x")
	got, _ = ttrpc.GetMetadata(ctx)
	equal(t, fmt.Sprint(got), "map[key:[1]]")
}

// Metadata as it arrives, by the keys under which handlers find it.
func TestMetadataOverTheWire(t *testing.T) {
	look := func(ctx context.Context) string {
		md, ok := ttrpc.GetMetadata(ctx)
		value, found := ttrpc.GetMetadataValue(ctx, "Foo")
		return fmt.Sprint(md, ok, " ", value, found)
	}
	r := serve(t,
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { return look(ctx), nil })),
		withStream("lookStream", bidi(func(ctx context.Context, ss ttrpc.StreamServer) error { return ss.SendMsg(text(look(ctx))) })))
	for _, c := range []*ttrpc.Client{r.client(), r.client(ttrpc.WithUnaryClientInterceptor(passOn))} {
		for _, test := range []struct {
			md   ttrpc.MD
			want string
		}{
			{nil, "map[] false false"},
			{ttrpc.MD{}, "map[] false false"},
			{ttrpc.MD{"foo": {"1", "2"}}, "map[foo:[1 2]] true 1true"},
			{ttrpc.MD{"Foo": {"1"}}, "map[foo:[1]] true 1true"},
			{ttrpc.MD{"foo": {}}, "map[] false false"},
			{ttrpc.MD{"foo": {""}}, "map[foo:[]] true true"},
			{ttrpc.MD{"": {"x"}}, "map[:[x]] true false"},
			{ttrpc.MD{"bar": {"é"}}, "map[bar:[é]] true false"},
		} {
			ctx := ttrpc.WithMetadata(bg, test.md)
			out, err := call(ctx, c, "look", "")
			check(t, err)
			equal(t, out, test.want)
			wantTexts(t, open(t, ctx, c, both, "lookStream", nil), test.want)
		}
	}
}

// What RequestMetadata returns does not change with the frame that it came in.
func TestRequestMetadataIsACopy(t *testing.T) {
	b := encode(&ttrpc.Request{Metadata: []*ttrpc.KeyValue{{Key: "Key", Value: "1"}, {Key: "other", Value: "x"}, {Key: "key", Value: "2"}}})
	md := ttrpc.MD(wire.RequestMetadata(b, 3))
	clear(b)
	md.Append("other", "y")
	md.Append("key", "3")
	equal(t, fmt.Sprint(md), "map[key:[1 2 3] other:[x y]]")
}
