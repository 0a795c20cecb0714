package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

// TestRecorded holds that nothing but the one flag differs on the wire to a release: what our
// client sends to its server is what its own client sends, and what our server sends to its client
// is what its own server sends, over unary calls, streams, deadlines, metadata, calls that are
// cancelled, streams that are given up, and a shutdown.
//
// What can't be equal is made equal before: the time that a deadline leaves (timeout_nano), the
// order of the entries of metadata and of a message's map, which is a map's, and ids, for calls
// that begin at once have them by chance: frames are compared call by call. The answer of a call
// that its client has given up may come too late to be recorded. A stream that opens without a
// message says so by the no-data flag, as testdata/differences.txt has it.
func TestRecorded(t *testing.T) {
	bins, err := peers()
	if err != nil {
		t.Fatal(err)
	}
	ours := peer.Releases[len(peer.Releases)-1]
	for _, r := range peer.Releases {
		if r.Ours {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(peerDir, r.Name)
			theirs, forms := record(t, bins, dir+"-a", r, r, "")
			client, _ := record(t, bins, dir+"-b", ours, r, forms)
			server, _ := record(t, bins, dir+"-c", r, ours, forms)
			for _, name := range theirs.names {
				up := compareCalls(theirs.conns[name].up, client.conns[name].up)
				check(t, r.Name, name+", to the server", up)
				down := compareCalls(theirs.conns[name].down, server.conns[name].down)
				check(t, r.Name, name+", to the client", down)
			}
		})
	}
}

// unsteady are scenarios whose frames come by chance, that are about forms of messages which not
// all releases have, or that crash an original.
var unsteady = []string{
	"messages/forms", "stream/forms", "concurrent", "stream/concurrent", "close/own", "ping",
	"messages/nil-reply", "sizes/reply-over-limit", "status/details", "stream/status", "stream/server-over-limit",
}

// otherwise is what an original does in another way than the later ones, and ours. All of it is
// known from the scenarios' results (internal/peer/known.go).
var otherwise = map[string][]string{
	"v1.0.2": {
		"sizes/request-over-limit, to the server", // it is sent, and refused by the server
		"unknown/service, to the client",          // the code
		"unknown/method, to the client", "unknown/then, to the client",
	},
	"v1.1.2":  {"sizes/request-over-limit, to the server"},
	"v1.2.8":  {"stream/deadline-and-metadata, to the server"}, // streams send neither
	"v1.2.10": {"stream/deadline-and-metadata, to the server"},
}

// check fails the test where something differs that is not known to, or no longer does.
func check(t *testing.T, release, what string, differences []string) {
	t.Helper()
	switch known := slices.Contains(otherwise[release], what); {
	case known && len(differences) == 0:
		t.Errorf("%s is listed as a difference, and is none", what)
	case !known:
		for _, d := range differences {
			t.Errorf("%s, %s", what, d)
		}
	}
}

// recording is what has passed in each scenario.
type recording struct {
	names []string
	conns map[string]conversation
}

// conversation is the frames of a connection, by call.
type conversation struct{ up, down map[string][]string }

// record runs a client of one release against a server of another, with forms of messages that the
// server has: all of them, if none are given.
func record(
	t *testing.T, bins map[string]string, dir string, client, server peer.Release, forms string,
) (all recording, used string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := peer.Start(t.Context(), server, bins[server.Name], dir)
	if err != nil {
		t.Fatal(err)
	}
	if forms != "" {
		s.Forms = forms
	}
	via := filepath.Join(dir, "via")
	rec, err := peer.Record(s, via)
	if err != nil {
		t.Fatal(err)
	}
	skip := slices.Clone(unsteady)
	if !client.Streams {
		skip = append(skip, "stream/")
	}
	results, err := peer.RunRecorded(t.Context(), bins[client.Name], s, via, skip...)
	if err != nil {
		t.Error(err)
	}
	conns := rec.Stop()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if len(conns) != len(results) || len(results) == 0 {
		t.Fatalf("%s to %s: %d scenarios, %d connections", client.Name, server.Name, len(results), len(conns))
	}
	all.conns = make(map[string]conversation)
	for i, r := range results {
		if r.Got != r.Want && peer.Known(client.Name, server.Name, r) == nil {
			t.Errorf("%s to %s, %s: got %s, want %s", client.Name, server.Name, r.Scenario, r.Got, r.Want)
		}
		all.names = append(all.names, r.Scenario)
		c, err := converse(conns[i].Up(), conns[i].Down(), server.Ours)
		if err != nil {
			t.Errorf("%s to %s, %s: %v", client.Name, server.Name, r.Scenario, err)
		}
		all.conns[r.Scenario] = c
	}
	return all, s.Forms
}

// compareCalls compares what was sent in two recordings of a scenario.
func compareCalls(theirs, ours map[string][]string) (differences []string) {
	for call := range theirs {
		if _, ok := ours[call]; !ok {
			ours[call] = nil
		}
	}
	for call, got := range ours {
		want := theirs[call]
		if mayBeLate(call) && (len(got) == 0 || len(want) == 0) {
			continue
		}
		for i := range max(len(got), len(want)) {
			if g, w := at(got, i), at(want, i); g != w {
				text := fmt.Sprintf("call %s, frame %d:\n\ttheirs %s\n\tours   %s", call, i, w, g)
				differences = append(differences, text)
				break
			}
		}
	}
	return differences
}

func at(texts []string, i int) string {
	if i < len(texts) {
		return texts[i]
	}
	return "nothing"
}

// mayBeLate reports whether a call is one that its client gives up.
func mayBeLate(call string) bool {
	return strings.Contains(call, "/Until") || strings.Contains(call, "/Hold#")
}

// TestRecordedFails shows that the comparison sees what it is there for.
func TestRecordedFails(t *testing.T) {
	build := func(id uint32, typ, flags byte, data string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		b = binary.BigEndian.AppendUint32(b, id)
		return append(append(b, typ, flags), data...)
	}
	request := build(1, typeRequest, 0, "\n\x01s\x12\x01m")
	first, second := build(1, typeResponse, flagExtensions, ""), build(1, typeResponse, 0, "")
	for name, test := range map[string]struct {
		up, down []byte
		ours, ok bool
	}{
		"as it should be":     {request, bytes.Join([][]byte{first, second}, nil), true, true},
		"no flag":             {request, second, true, false},
		"a flag of another":   {request, first, false, false},
		"a second flag":       {request, bytes.Join([][]byte{first, first}, nil), true, false},
		"a Hello":             {bytes.Join([][]byte{request, build(1, 0x40, 0, "")}, nil), first, true, false},
		"a Window":            {request, bytes.Join([][]byte{first, build(1, 0x42, 0, "12345678")}, nil), true, false},
		"not a Request's end": {build(1, typeRequest, 0, "\n\x07s"), first, true, false},
	} {
		if _, err := converse(test.up, test.down, test.ours); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
