package main

import (
	"github.com/containerd/ttrpc/interop/messages"
	gogo "github.com/containerd/ttrpc/interop/messages/gogo"
	legacy "github.com/containerd/ttrpc/interop/messages/legacy"
	plain "github.com/containerd/ttrpc/interop/messages/plain"
)

// forms are the messages that this release takes, its users' usual ones first.
var forms = []messages.Form{gogo.Form("gogo"), plain.Form("plain"), legacy.Form("legacy")}
