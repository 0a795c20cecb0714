// Package mixed tests one server and one client with every form of message at the same
// time. It has no code of its own but the list of forms.
package mixed

import (
	"github.com/containerd/ttrpc/interop/messages"
	gogo "github.com/containerd/ttrpc/interop/messages/gogo"
	google "github.com/containerd/ttrpc/interop/messages/google"
	legacy "github.com/containerd/ttrpc/interop/messages/legacy"
	plain "github.com/containerd/ttrpc/interop/messages/plain"
	vt "github.com/containerd/ttrpc/interop/vt"
)

// Forms are all forms of generated code: protoc-gen-go's, gogo's with and without
// generated marshalers, vtprotobuf's and the struct tags of golang/protobuf v1.
var Forms = []messages.Form{
	google.Form("google"), gogo.Form("gogo"), plain.Form("plain"), vt.Form("vt"), legacy.Form("legacy"),
}

// typedNils are a nil pointer of each form's message, in the same order.
var typedNils = []any{(*google.Item)(nil), (*gogo.Item)(nil), (*plain.Item)(nil), (*vt.Item)(nil), (*legacy.Item)(nil)}
