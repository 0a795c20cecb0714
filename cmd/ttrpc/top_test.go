package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/debug"
)

func TestTop(t *testing.T) {
	dir := tempDir(t)
	startServer(t, filepath.Join(dir, "debug.sock"), debug.Register)
	startChat(t, dir, false)
	got := runLine(t, dir, "", "top", "DIR/debug.sock", "-n", "1")
	if !regexp.MustCompile(`#1 .* open +1 +0 +0\n`).MatchString(got) || !strings.Contains(got, "ttrpc.debug.v1.Debug/Snapshot") {
		t.Error(got)
	}
	checkLines(t, dir, []line{
		{name: "top none", args: []string{"top", "DIR/chat.sock"}},
		{name: "top nothing", args: []string{"top"}},
	})
}

// Calls are shown the oldest first, whatever their connection is.
func TestPrintTop(t *testing.T) {
	now := time.Unix(1000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	s := &ttrpc.Snapshot{Time: now, Conns: []ttrpc.ConnSnapshot{
		{Peer: "pid 7", Since: ago(time.Hour), State: "open", Unread: 5, Calls: []ttrpc.CallSnapshot{
			{ID: 1, Method: "a.B/New", Kind: "unary", State: "running", Since: ago(time.Millisecond)},
			{ID: 3, Method: "a.B/Queued", Kind: "unary", State: "queued"},
		}},
		{Peer: "pid 8", Since: ago(time.Minute), State: "draining", Calls: []ttrpc.CallSnapshot{
			{ID: 9, Method: "a.B/Old", Kind: "bidi stream", State: "open", Since: ago(time.Second)},
		}},
	}}
	var out bytes.Buffer
	if err := printTop(&out, s); err != nil {
		t.Fatal(err)
	}
	golden(t, "top", out.String())
}
