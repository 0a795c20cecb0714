//go:build go1.25

package peercred

import (
	"errors"
	"math"
	"syscall"
	"testing"
)

// Package os has -1 for all ids on some systems. That must not stand for any.
func TestRequireSameWhereIdsAreUnknown(t *testing.T) {
	for _, ids := range [][2]int{{-1, -1}, {-1, 0}, {0, -1}} {
		for _, peer := range []Peer{{Uid: math.MaxUint32, Gid: math.MaxUint32}, {}} {
			if err := requireOwn(ids[0], ids[1])(peer); !errors.Is(err, syscall.EPERM) {
				t.Errorf("%v lets %v in: %v", ids, peer, err)
			}
		}
	}
}

// What macOS and the BSDs answer is read in its order, and an answer that was not filled in is no
// peer, least of all root.
func TestPeerOptions(t *testing.T) {
	bsd := Peer{Pid: 3, Uid: 1, Gid: 2}
	xucred := Peer{Uid: 1, Gid: 2}
	for name, test := range map[string]struct {
		option peerOption
		answer [8]uint32
		want   Peer
	}{
		"openbsd":            {openbsdPeer, [8]uint32{1, 2, 3}, bsd},
		"openbsd, nothing":   {openbsdPeer, [8]uint32{}, Peer{}},
		"openbsd, no peer":   {openbsdPeer, [8]uint32{1, 2, math.MaxUint32}, Peer{}},
		"netbsd":             {netbsdPeer, [8]uint32{3, 1, 2}, bsd},
		"netbsd, nothing":    {netbsdPeer, [8]uint32{}, Peer{}},
		"netbsd, no process": {netbsdPeer, [8]uint32{0, 1, 2}, Peer{}},
		"dragonfly":          {dragonflyPeer, [8]uint32{0, 1, 1, 2}, xucred},
		"dragonfly, padding": {dragonflyPeer, [8]uint32{0, 1, 0xffff0010, 2, 9, 9, 9, 9}, xucred},
		"dragonfly, nothing": {dragonflyPeer, [8]uint32{}, Peer{}},
		"dragonfly, version": {dragonflyPeer, [8]uint32{1, 1, 1, 2}, Peer{}},
		"no groups":          {dragonflyPeer, [8]uint32{0, 1, 0xffff0000, 2}, Peer{}},
		"groups below none":  {dragonflyPeer, [8]uint32{0, 1, 0xffff, 2}, Peer{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.option.decode(test.answer)
			var wantErr error
			if test.want == (Peer{}) {
				wantErr = errBadCreds
			}
			if got != test.want || err != wantErr {
				t.Errorf("got %v, %v, want %v, %v", got, err, test.want, wantErr)
			}
		})
	}
}
