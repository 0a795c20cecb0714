package main

import (
	"github.com/containerd/ttrpc/interop/messages"
	google "github.com/containerd/ttrpc/interop/messages/google"
)

// forms are the messages that this release takes, its users' usual ones first.
var forms = []messages.Form{google.Form("google")}
