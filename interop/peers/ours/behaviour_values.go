package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/containerd/ttrpc"
)

var errorProbes = []probe{{name: "errors/sentinels", run: func(r *report) {
	for _, k := range known[:4] {
		r.say(k.name, k.err)
		r.say("Unwrap "+k.name, errors.Unwrap(k.err))
	}
}}}

var oversizedProbes = []probe{{name: "errors/oversized", run: func(r *report) {
	for _, n := range []int{-1, 0, 1, 4194304, 4194305, 8 << 20} {
		err := ttrpc.OversizedMessageError(n)
		r.say(fmt.Sprint("length ", n), err)
		if err != nil {
			r.say(fmt.Sprintf("length %d unwrapped", n), errors.Unwrap(err))
		}
	}
	var zero ttrpc.OversizedMessageErr
	r.say("zero value lengths", zero.RejectedLength(), zero.MaximumLength())
	r.guard("zero value Unwrap", func() any { return zero.Unwrap() })
	r.guard("zero value Error", func() any { return zero.Error() })
}}}

// show prints metadata in a fixed order.
func show(md ttrpc.MD) string {
	if md == nil {
		return "nil"
	}
	var parts []string
	for k, v := range md {
		parts = append(parts, fmt.Sprintf("%s:%q", k, v))
	}
	sort.Strings(parts)
	return "{" + strings.Join(parts, " ") + "}"
}

// sayGet reports what a look-up gives, a nil list apart from an empty one.
func sayGet(r *report, what string, md ttrpc.MD, key string) {
	v, ok := md.Get(key)
	r.say(what, fmt.Sprintf("%q nil:%t", v, v == nil), ok)
}

var metadataProbes = []probe{
	{name: "md/get", run: func(r *report) {
		md := ttrpc.MD{"key": {"1", "2"}, "Raw": {"3"}, "empty": {}, "nil": nil}
		for _, k := range []string{"key", "KEY", "Raw", "raw", "empty", "nil", "none", ""} {
			sayGet(r, "Get "+k, md, k)
		}
		sayGet(r, "Get of a nil MD", nil, "key")
		list, _ := md.Get("key")
		list[0] = "changed"
		sayGet(r, "Get after its result was changed", md, "key")
	}},
	{name: "md/set", run: func(r *report) {
		md := ttrpc.MD{}
		md.Set("Key", "1", "2")
		r.say("Set Key", show(md))
		md.Set("KEY", "3")
		r.say("Set KEY again", show(md))
		md.Set("key")
		r.say("Set without values", show(md))
		md.Set("other")
		r.say("Set of a new key without values", show(md))
		md.Set("", "x")
		r.say("Set of the empty key", show(md))
		values := []string{"a", "b"}
		md.Set("alias", values...)
		values[0] = "changed"
		r.say("Set, then its arguments changed", show(md))
		var none ttrpc.MD
		r.say("Set on nil", caught(func() { none.Set("k", "v") }))
		r.say("Set nothing on nil", caught(func() { none.Set("k") }))
	}},
	{name: "md/append", run: func(r *report) {
		md := ttrpc.MD{"Raw": {"0"}}
		md.Append("Key", "1")
		md.Append("kEY", "2", "3")
		md.Append("Raw", "4")
		r.say("Append", show(md))
		md.Append("key")
		r.say("Append nothing", show(md))
		md.Append("new")
		r.say("Append nothing to a new key", show(md))
		var none ttrpc.MD
		r.say("Append on nil", caught(func() { none.Append("k", "v") }))
		r.say("Append nothing on nil", caught(func() { none.Append("k") }))
	}},
	{name: "md/clone", run: func(r *report) {
		md := ttrpc.MD{"Key": {"1"}, "empty": {}, "nil": nil}
		clone := md.Clone()
		clone["Key"][0] = "changed"
		clone["more"] = []string{"x"}
		r.say("the original after its clone was changed", show(md))
		r.say("the clone", show(clone))
		r.say("Clone of nil", show(ttrpc.MD(nil).Clone()))
		r.say("Clone of empty", show(ttrpc.MD{}.Clone()))
	}},
	{name: "md/context", run: func(r *report) {
		get := func(what string, ctx context.Context) {
			md, ok := ttrpc.GetMetadata(ctx)
			r.say("GetMetadata "+what, show(md), ok)
			v, ok := ttrpc.GetMetadataValue(ctx, "Key")
			r.say("GetMetadataValue "+what, v, ok)
		}
		ctx := context.Background()
		get("of a plain context", ctx)
		get("of nil", ttrpc.WithMetadata(ctx, nil))
		get("of empty", ttrpc.WithMetadata(ctx, ttrpc.MD{}))
		get("of an empty list", ttrpc.WithMetadata(ctx, ttrpc.MD{"key": {}}))
		get("of two values", ttrpc.WithMetadata(ctx, ttrpc.MD{"key": {"1", "2"}}))
		get("of an upper-case key", ttrpc.WithMetadata(ctx, ttrpc.MD{"Key": {"1"}}))
		md := ttrpc.MD{"key": {"1"}}
		ctx = ttrpc.WithMetadata(ctx, md)
		md["key"] = []string{"changed"}
		get("after the map was changed", ctx)
		got, _ := ttrpc.GetMetadata(ctx)
		got["key"] = []string{"changed twice"}
		get("after the map got back was changed", ctx)
		get("put over another", ttrpc.WithMetadata(ctx, ttrpc.MD{"other": {"2"}}))
	}},
}
