//go:build go1.25

package ttrpc

import (
	"math"
	"syscall"
	"testing"
)

// Package os has -1 for all ids on some systems. That must not stand for any.
func TestUnixSocketRequireSameUserWhereIdsAreUnknown(t *testing.T) {
	for _, ids := range [][2]int{{-1, -1}, {-1, 0}, {0, -1}} {
		err := requireOwn(ids[0], ids[1])(&UnixCredentials{Uid: math.MaxUint32, Gid: math.MaxUint32})
		wantIs(t, err, syscall.EPERM)
		wantIs(t, requireOwn(ids[0], ids[1])(&UnixCredentials{}), syscall.EPERM)
	}
}

// What macOS and the BSDs answer is read in its order, and an answer that was not filled in is no
// peer, least of all root.
func TestPeerOptions(t *testing.T) {
	bsd := UnixCredentials{Pid: 3, Uid: 1, Gid: 2}
	xucred := UnixCredentials{Uid: 1, Gid: 2}
	for name, test := range map[string]struct {
		option peerOption
		answer [8]uint32
		want   *UnixCredentials
	}{
		"openbsd":            {openbsdPeer, [8]uint32{1, 2, 3}, &bsd},
		"openbsd, nothing":   {openbsdPeer, [8]uint32{}, nil},
		"openbsd, no peer":   {openbsdPeer, [8]uint32{1, 2, math.MaxUint32}, nil},
		"netbsd":             {netbsdPeer, [8]uint32{3, 1, 2}, &bsd},
		"netbsd, nothing":    {netbsdPeer, [8]uint32{}, nil},
		"netbsd, no process": {netbsdPeer, [8]uint32{0, 1, 2}, nil},
		"dragonfly":          {dragonflyPeer, [8]uint32{0, 1, 1, 2}, &xucred},
		"dragonfly, padding": {dragonflyPeer, [8]uint32{0, 1, 0xffff0010, 2, 9, 9, 9, 9}, &xucred},
		"dragonfly, nothing": {dragonflyPeer, [8]uint32{}, nil},
		"dragonfly, version": {dragonflyPeer, [8]uint32{1, 1, 1, 2}, nil},
		"no groups":          {dragonflyPeer, [8]uint32{0, 1, 0xffff0000, 2}, nil},
		"groups below none":  {dragonflyPeer, [8]uint32{0, 1, 0xffff, 2}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.option.decode(test.answer)
			if test.want == nil {
				wantIs(t, err, errBadCreds)
				equal(t, got, nil)
				return
			}
			check(t, err)
			equal(t, *got, *test.want)
		})
	}
}
