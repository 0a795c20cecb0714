//go:build go1.25

package ttrpc_test

import (
	"os"
	"testing"

	"github.com/containerd/ttrpc"
)

// Who is refused for his credentials reads in the server's log whose were wanted.
func TestRefusedCredentials(t *testing.T) {
	handshaker := ttrpc.UnixSocketRequireUidGid(os.Geteuid()+4242, 434343)
	l, log := loggingServer(t, "unix", ttrpc.WithServerHandshaker(handshaker))
	conn := strangerDial(t, l)
	wanted := []string{"handshake failed", "434343", "operation not permitted"}
	wantInText(t, strangerSoon(t, log, "a line of the log"), append(whoAmI(conn), wanted...)...)
}
