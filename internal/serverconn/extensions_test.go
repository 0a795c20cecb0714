//go:build go1.25

package serverconn

import (
	"testing"

	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// The limit for new streams goes out, and after the end nothing does.
func TestRestrainNew(t *testing.T) {
	r := open(t, peer.Known)
	r.RestrainNew(transport.Unwritten{}).Flush(true)
	r.wantFrame(t, wire.TypeWindow, 0)
	r.end(errBroken)
	testkit.Equal(t, r.RestrainNew(transport.Unwritten{}), transport.Unwritten{})
}
