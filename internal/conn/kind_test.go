//go:build go1.25

package conn

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// A kind says which side sends a stream. One message each, by a stream's API, is like a stream of
// the server's for who looks at it.
func TestKinds(t *testing.T) {
	for kind, want := range map[Kind]struct {
		client, server bool
		name           string
	}{
		OneEach:      {false, false, "server stream"},
		ClientStream: {true, false, "client stream"},
		ServerStream: {false, true, "server stream"},
		BidiStream:   {true, true, "bidi stream"},
	} {
		testkit.Equal(t, StreamKind(want.client, want.server), kind)
		testkit.Equal(t, kind.ClientStreams(), want.client)
		testkit.Equal(t, kind.ServerStreams(), want.server)
		testkit.Equal(t, kind.String(), want.name)
	}
	testkit.Equal(t, Unary.ClientStreams() || Unary.ServerStreams(), false)
	testkit.Equal(t, Unary.String(), "unary")
}
