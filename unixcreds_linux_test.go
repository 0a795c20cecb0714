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

// whoamiOnLinux answers with the type that programs know from the original.
func whoamiOnLinux(ctx context.Context, _ string) (string, error) {
	cred, ok := ttrpc.HandshakeData(ctx).(*unix.Ucred)
	if !ok {
		return "", errors.New("no credentials")
	}
	return fmt.Sprint(cred.Pid, " ", cred.Uid, " ", cred.Gid), nil
}

// A socket without a file has credentials, too; and the refused peer's process is named.
func TestUnixCredentialsOfAbstractSocket(t *testing.T) {
	l := abstract(t)
	r := serve(t, l, ttrpc.WithServerHandshaker(ttrpc.UnixSocketRequireSameUser()), withMethod("whoami", unary(whoamiOnLinux)))
	out, err := call(bg, r.client(), "whoami", "")
	check(t, err)
	equal(t, out, fmt.Sprint(os.Getpid(), " ", os.Geteuid(), " ", os.Getegid()))
	_, b := pair(t, "unix")
	_, _, err = ttrpc.UnixSocketRequireUidGid(os.Geteuid()+1, -1).Handshake(bg, b)
	equal(t, err.Error(), fmt.Sprintf(refusedText+requiredText+"uid %d, gid any; the peer has uid %d, gid %d, pid %d",
		os.Geteuid()+1, os.Geteuid(), os.Getegid(), os.Getpid()))
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
		"same user":     {ttrpc.UnixSocketRequireSameUser(), " ttrpc: closed"},
		"root":          {ttrpc.UnixSocketRequireRoot(), " ttrpc: closed"},
		"its group":     {ttrpc.UnixSocketRequireUidGid(0, gid), " ttrpc: closed"},
		"its user":      {ttrpc.UnixSocketRequireUidGid(uid, 0), " ttrpc: closed"},
		"itself":        {ttrpc.UnixSocketRequireUidGid(uid, gid), fmt.Sprint("PID ", uid, " ", gid, " <nil>")},
		"any user":      {ttrpc.UnixSocketRequireUidGid(-1, gid), fmt.Sprint("PID ", uid, " ", gid, " <nil>")},
		"any group":     {ttrpc.UnixSocketRequireUidGid(uid, -1), fmt.Sprint("PID ", uid, " ", gid, " <nil>")},
		"anybody":       {ttrpc.UnixSocketRequireUidGid(-1, -1), fmt.Sprint("PID ", uid, " ", gid, " <nil>")},
		"not any user":  {ttrpc.UnixSocketRequireUidGid(0, -1), " ttrpc: closed"},
		"not any group": {ttrpc.UnixSocketRequireUidGid(-1, 0), " ttrpc: closed"},
	} {
		t.Run(name, func(t *testing.T) {
			l := abstract(t)
			serve(t, l, ttrpc.WithServerHandshaker(test.require), withMethod("whoami", unary(whoamiOnLinux)))
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

// The peer is gone before anybody looks: its credentials are those of the moment in which it
// connected.
func TestUnixCredentialsOfPeerThatIsGone(t *testing.T) {
	a, b := pair(t, "unix")
	a.Close()
	conn, data, err := ttrpc.UnixSocketRequireSameUser().Handshake(bg, b)
	check(t, err)
	equal(t, conn, b)
	equal(t, data.(*unix.Ucred).Pid, int32(os.Getpid()))
	equal(t, data.(*unix.Ucred).Uid, uint32(os.Geteuid()))
}
