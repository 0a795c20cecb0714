package main

import (
	"github.com/containerd/ttrpc/interop/messages"
	gogo "github.com/containerd/ttrpc/interop/messages/gogo"
	google "github.com/containerd/ttrpc/interop/messages/google"
	legacy "github.com/containerd/ttrpc/interop/messages/legacy"
	plain "github.com/containerd/ttrpc/interop/messages/plain"
	vt "github.com/containerd/ttrpc/interop/vt"
)

// forms are the messages that this release takes, its users' usual ones first.
var forms = []messages.Form{
	google.Form("google"), gogo.Form("gogo"), plain.Form("plain"), vt.Form("vt"), legacy.Form("legacy"),
}
