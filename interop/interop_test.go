package main

import (
	"context"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

var controlPairs = flag.Bool("control", false, "also pair the originals with each other")

// peers builds every release's peer once for all tests.
var peers = sync.OnceValues(func() (map[string]string, error) {
	return peer.BuildAll(context.Background(), peerDir)
})

// peerDir holds the peers' programs and sockets; TestMain makes and removes it.
var peerDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ttrpc-interop-")
	if err != nil {
		panic(err)
	}
	peerDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// TestPairs runs clients of each release against servers of each other.
func TestPairs(t *testing.T) {
	bins, err := peers()
	if err != nil {
		t.Fatal(err)
	}
	all, err := pairAll(t.Context(), bins, peerDir, *controlPairs)
	if err != nil {
		t.Error(err)
	}
	var table strings.Builder
	printTable(&table, all)
	t.Logf("clients against servers:\n%s", table.String())
	for _, p := range all {
		if len(p.results) == 0 {
			t.Errorf("client %s, server %s: no results", p.client, p.server)
		}
		for _, r := range p.wrong() {
			t.Errorf("client %s, server %s, %s:\n\tgot  %s\n\twant %s", p.client, p.server, r.Scenario, r.Got, r.Want)
		}
	}
	if want := pairCount(*controlPairs); len(all) != want {
		t.Errorf("%d pairings were run, want %d", len(all), want)
	}
}

// pairCount is how many pairings there are.
func pairCount(control bool) int {
	if control {
		return len(peer.Releases) * len(peer.Releases)
	}
	return 2*len(peer.Releases) - 1
}
