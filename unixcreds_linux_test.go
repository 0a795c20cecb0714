//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containerd/ttrpc"
)

// socketVariable tells a process of this test's that it is another user, who dials.
const socketVariable = "TTRPC_TEST_SOCKET"

// abstract listens on a socket without a file, which every user may dial.
func abstract(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", fmt.Sprintf("@ttrpc-test-%d-%s", os.Getpid(), t.Name()))
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// whoami answers with the credentials of the peer.
func whoami(ctx context.Context, _ string) (string, error) {
	cred, ok := ttrpc.HandshakeData(ctx).(*unix.Ucred)
	if !ok {
		return "", errors.New("no credentials")
	}
	return fmt.Sprint(cred.Pid, " ", cred.Uid, " ", cred.Gid), nil
}

func TestUnixCredentials(t *testing.T) {
	uid, gid := os.Geteuid(), os.Getegid()
	own := errors.New("not today")
	for name, test := range map[string]struct {
		require ttrpc.UnixCredentialsFunc
		ok      bool
	}{
		"same user":   {ttrpc.UnixSocketRequireSameUser(), true},
		"own ids":     {ttrpc.UnixSocketRequireUidGid(uid, gid), true},
		"other user":  {ttrpc.UnixSocketRequireUidGid(uid+1, gid), false},
		"other group": {ttrpc.UnixSocketRequireUidGid(uid, gid+1), false},
		"root":        {ttrpc.UnixSocketRequireRoot(), uid == 0 && gid == 0},
		"own check":   {func(cred *unix.Ucred) error { return own }, false},
	} {
		for transport, l := range map[string]net.Listener{"file": listen(t, "unix"), "abstract": nil} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				if l == nil {
					l = abstract(t)
				}
				var log logBuffer
				r := serve(t, l, ttrpc.WithServerHandshaker(test.require), ttrpc.WithServerLogger(log.logger()), withMethod("whoami", unary(whoami)))
				out, err := call(bg, r.client(), "whoami", "")
				if test.ok {
					check(t, err)
					equal(t, out, fmt.Sprint(os.Getpid(), " ", uid, " ", gid))
					return
				}
				wantExactly(t, err, ttrpc.ErrClosed)
				check(t, r.Shutdown(bg))
				want := "ttrpc.UnixCredentialsFunc: credential check failed: "
				if name == "own check" {
					want += own.Error()
				} else {
					want += "ttrpc: invalid credentials: operation not permitted"
				}
				if !strings.Contains(log.String(), want) {
					t.Errorf("%q does not say %q", log.String(), want)
				}
			})
		}
	}
}

// Another user is refused where the same user, or root, is required; and let in by name.
func TestUnixCredentialsOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	const uid, gid = 65534, 65533
	dial := func(l net.Listener) string {
		// The program's folder is none of the other user's, but its own image is always at hand.
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestDialAsAnotherUser$", "-test.v")
		cmd.Env = append(os.Environ(), socketVariable+"="+l.Addr().String(), "GORACE=atexit_sleep_ms=0")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		_, out2, _ := strings.Cut(string(out), "answer: ")
		line, _, _ := strings.Cut(out2, "\n")
		return line
	}
	for name, test := range map[string]struct {
		require ttrpc.UnixCredentialsFunc
		want    string
	}{
		"same user": {ttrpc.UnixSocketRequireSameUser(), " ttrpc: closed"},
		"root":      {ttrpc.UnixSocketRequireRoot(), " ttrpc: closed"},
		"its group": {ttrpc.UnixSocketRequireUidGid(0, gid), " ttrpc: closed"},
		"its user":  {ttrpc.UnixSocketRequireUidGid(uid, 0), " ttrpc: closed"},
		"itself":    {ttrpc.UnixSocketRequireUidGid(uid, gid), fmt.Sprint("PID ", uid, " ", gid, " <nil>")},
	} {
		t.Run(name, func(t *testing.T) {
			l := abstract(t)
			serve(t, l, ttrpc.WithServerHandshaker(test.require), withMethod("whoami", unary(whoami)))
			equal(t, dial(l), test.want)
		})
	}
}

// TestDialAsAnotherUser is the other user of the test above.
func TestDialAsAnotherUser(t *testing.T) {
	socket := os.Getenv(socketVariable)
	if socket == "" {
		t.Skip("it is run by another test")
	}
	conn, err := net.Dial("unix", socket)
	check(t, err)
	c := ttrpc.NewClient(conn)
	defer c.Close()
	out, err := call(bg, c, "whoami", "")
	out = strings.Replace(out, fmt.Sprint(os.Getpid()), "PID", 1)
	fmt.Println("answer:", out, err)
}

// The peer is gone before anybody looks: its credentials are those of the moment in which it connected.
func TestUnixCredentialsOfPeerThatIsGone(t *testing.T) {
	a, b := pair(t, "unix")
	a.Close()
	conn, data, err := ttrpc.UnixSocketRequireSameUser().Handshake(bg, b)
	check(t, err)
	equal(t, conn, b)
	equal(t, data.(*unix.Ucred).Pid, int32(os.Getpid()))
	equal(t, data.(*unix.Ucred).Uid, uint32(os.Geteuid()))
}

func TestUnixCredentialsRefuseOtherConnections(t *testing.T) {
	for _, transport := range []network{"tcp", "pipe"} {
		_, b := pair(t, transport)
		_, _, err := ttrpc.UnixSocketRequireSameUser().Handshake(bg, b)
		if err == nil || err.Error() != "ttrpc.UnixCredentialsFunc: require unix socket: a unix socket connection is required" {
			t.Errorf("%s: got error %v", transport, err)
		}
	}
	_, b := pair(t, "unix")
	b.Close()
	_, _, err := ttrpc.UnixSocketRequireSameUser().Handshake(bg, b)
	wantIs(t, err, net.ErrClosed)
	_, b = pair(t, "unix")
	_, _, err = ttrpc.UnixSocketRequireUidGid(os.Geteuid()+1, 0).Handshake(bg, b)
	wantIs(t, err, syscall.EPERM)
}
