//go:build go1.25

package ttrpc

import (
	"context"
	"fmt"
	"testing"
)

func TestMDGet(t *testing.T) {
	md := MD{"key": {"1", "2"}, "Raw": {"0"}, "empty": {}, "nil": nil}
	for key, want := range map[string]string{
		"key": "[1 2] true", "KEY": "[1 2] true", "Raw": "[] false", "raw": "[] false", "empty": "[] false",
		"nil": "[] false", "none": "[] false", "": "[] false",
	} {
		values, ok := md.Get(key)
		equal(t, fmt.Sprint(values, " ", ok), want)
		equal(t, values != nil, ok)
	}
	values, ok := MD(nil).Get("key")
	equal(t, values == nil && !ok, true)
}

func TestMDSetAndAppend(t *testing.T) {
	md := MD{"Raw": {"0"}}
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
	MD(nil).Set("key")
	MD(nil).Append("key")
}

func TestMDClone(t *testing.T) {
	if MD(nil).Clone() != nil || (MD{}).Clone() == nil {
		t.Error("nil and empty are not kept apart")
	}
	md := MD{"key": {"1"}, "two": {"2", "3"}, "empty": {}, "nil": nil}
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
		{WithMetadata(bg, nil), "map[] true true;  false"},
		{WithMetadata(bg, MD{}), "map[] false true;  false"},
		{WithMetadata(bg, MD{"key": {}}), "map[key:[]] false true;  false"},
		{WithMetadata(bg, MD{"key": {"1", "2"}}), "map[key:[1 2]] false true; 1 true"},
		{WithMetadata(bg, MD{"Key": {"1"}}), "map[Key:[1]] false true;  false"},
		{WithMetadata(WithMetadata(bg, MD{"key": {"1"}}), MD{"other": {"2"}}), "map[other:[2]] false true;  false"},
	} {
		md, ok := GetMetadata(test.ctx)
		value, found := GetMetadataValue(test.ctx, "KEY")
		equal(t, fmt.Sprint(md, md == nil, ok, "; ", value, " ", found), test.want)
	}
}

// A context's metadata is nobody's to change.
func TestMetadataOfContextsIsACopy(t *testing.T) {
	mine := MD{"key": {"1"}}
	ctx := WithMetadata(bg, mine)
	mine.Set("key", "changed")
	got, _ := GetMetadata(ctx)
	equal(t, fmt.Sprint(got), "map[key:[1]]")
	got["key"][0] = "changed"
	got.Set("more", "x")
	got, _ = GetMetadata(ctx)
	equal(t, fmt.Sprint(got), "map[key:[1]]")
}

// Metadata as it arrives, by the keys under which handlers find it.
func TestMetadataOverTheWire(t *testing.T) {
	look := func(ctx context.Context) string {
		md, ok := GetMetadata(ctx)
		value, found := GetMetadataValue(ctx, "Foo")
		return fmt.Sprint(md, ok, " ", value, found)
	}
	r := serve(t,
		withMethod("look", unary(func(ctx context.Context, _ string) (string, error) { return look(ctx), nil })),
		withStream("lookStream", bidi(func(ctx context.Context, ss StreamServer) error { return ss.SendMsg(text(look(ctx))) })))
	for _, c := range []*Client{r.client(), r.client(WithUnaryClientInterceptor(passOn))} {
		for _, test := range []struct {
			md   MD
			want string
		}{
			{nil, "map[] false false"},
			{MD{}, "map[] false false"},
			{MD{"foo": {"1", "2"}}, "map[foo:[1 2]] true 1true"},
			{MD{"Foo": {"1"}}, "map[foo:[1]] true 1true"},
			{MD{"foo": {}}, "map[] false false"},
			{MD{"foo": {""}}, "map[foo:[]] true true"},
			{MD{"": {"x"}}, "map[:[x]] true false"},
			{MD{"bar": {"é"}}, "map[bar:[é]] true false"},
		} {
			ctx := WithMetadata(bg, test.md)
			out, err := call(ctx, c, "look", "")
			check(t, err)
			equal(t, out, test.want)
			wantTexts(t, open(t, ctx, c, both, "lookStream", nil), test.want)
		}
	}
}
