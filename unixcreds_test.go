//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/ttrpc"
)

const (
	refusedText  = "ttrpc.UnixCredentialsFunc: credential check failed: "
	requiredText = "ttrpc: invalid credentials: operation not permitted: required are "
)

// needPeerCredentials skips a test, where the system tells none, once everybody is refused there.
func needPeerCredentials(t *testing.T) {
	t.Helper()
	if ttrpc.CanReadPeer {
		return
	}
	a, _ := net.Pipe()
	defer a.Close()
	_, _, err := ttrpc.UnixSocketRequireUidGid(-1, -1).Handshake(bg, a)
	wantIs(t, err, errors.ErrUnsupported)
	t.Skip(err)
}

// whoami answers with the credentials of the peer.
func whoami(ctx context.Context, _ string) (string, error) {
	cred, ok := ttrpc.HandshakeData(ctx).(*ttrpc.UnixCredentials)
	if !ok {
		return "", errors.New("no credentials")
	}
	return fmt.Sprint(cred.Uid, " ", cred.Gid), nil
}

// Who is let in, and what a server says of those who are not: who they are and what was wanted.
func TestUnixCredentials(t *testing.T) {
	needPeerCredentials(t)
	uid, gid := os.Geteuid(), os.Getegid()
	root := "ttrpc: invalid credentials: operation not permitted: required are uid 0, gid 0"
	if uid == 0 && gid == 0 {
		root = ""
	}
	for name, test := range map[string]struct {
		require ttrpc.UnixCredentialsFunc
		refusal string
	}{
		"same user":            {ttrpc.UnixSocketRequireSameUser(), ""},
		"own ids":              {ttrpc.UnixSocketRequireUidGid(uid, gid), ""},
		"any user, own group":  {ttrpc.UnixSocketRequireUidGid(-1, gid), ""},
		"own user, any group":  {ttrpc.UnixSocketRequireUidGid(uid, -1), ""},
		"anybody":              {ttrpc.UnixSocketRequireUidGid(-1, -1), ""},
		"own check lets in":    {func(*ttrpc.UnixCredentials) error { return nil }, ""},
		"root":                 {ttrpc.UnixSocketRequireRoot(), root},
		"other user":           {ttrpc.UnixSocketRequireUidGid(uid+1, gid), fmt.Sprintf(requiredText+"uid %d, gid %d", uid+1, gid)},
		"other group":          {ttrpc.UnixSocketRequireUidGid(uid, gid+1), fmt.Sprintf(requiredText+"uid %d, gid %d", uid, gid+1)},
		"any user, wrong one":  {ttrpc.UnixSocketRequireUidGid(-1, gid+1), fmt.Sprintf(requiredText+"uid any, gid %d", gid+1)},
		"wrong one, any group": {ttrpc.UnixSocketRequireUidGid(uid+1, -1), fmt.Sprintf(requiredText+"uid %d, gid any", uid+1)},
		"own check":            {func(*ttrpc.UnixCredentials) error { return errors.New("not today") }, "not today"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			r := serve(t, ttrpc.WithServerHandshaker(test.require), ttrpc.WithServerLogger(log.logger()), withMethod("whoami", unary(whoami)))
			out, err := call(bg, r.client(), "whoami", "")
			if test.refusal == "" {
				check(t, err)
				equal(t, out, fmt.Sprint(uid, " ", gid))
				return
			}
			wantExactly(t, err, ttrpc.ErrClosed)
			check(t, r.Shutdown(bg))
			want := refusedText + test.refusal + fmt.Sprintf("; the peer has uid %d, gid %d", uid, gid)
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q does not say %q", log.String(), want)
			}
		})
	}
}

func TestUnixCredentialsErrors(t *testing.T) {
	needPeerCredentials(t)
	_, b := pair(t, "unix")
	_, _, err := ttrpc.UnixSocketRequireUidGid(os.Geteuid()+1, 0).Handshake(bg, b)
	wantIs(t, err, syscall.EPERM)
	own := errors.New("not today")
	_, _, err = ttrpc.UnixCredentialsFunc(func(*ttrpc.UnixCredentials) error { return own }).Handshake(bg, b)
	equal(t, errors.Unwrap(err), own)
	b.Close()
	_, _, err = ttrpc.UnixSocketRequireUidGid(-1, -1).Handshake(bg, b)
	wantIs(t, err, net.ErrClosed)
}

// What is no unix socket has no credentials: even where anybody may come, it may not. Nor may what
// hides one.
func TestUnixCredentialsRefuseOtherConnections(t *testing.T) {
	needPeerCredentials(t)
	_, pipe := pair(t, "pipe")
	_, tcp := pair(t, "tcp")
	_, unix := pair(t, "unix")
	for name, conn := range map[string]net.Conn{
		"pipe": pipe, "tcp": tcp, "struct": struct{ *net.UnixConn }{unix.(*net.UnixConn)}, "nil": nil,
	} {
		for _, require := range []ttrpc.UnixCredentialsFunc{ttrpc.UnixSocketRequireSameUser(), ttrpc.UnixSocketRequireUidGid(-1, -1)} {
			used, data, err := require.Handshake(bg, conn)
			if err == nil || err.Error() != "ttrpc.UnixCredentialsFunc: require unix socket: a unix socket connection is required" {
				t.Errorf("%s: got error %v", name, err)
			}
			if used != nil || data != nil {
				t.Errorf("%s: got %v, %v", name, used, data)
			}
		}
	}
}

// Ids are judged as the original's users know it, but that a number which is no id is nobody's.
func TestUnixSocketRequireUidGid(t *testing.T) {
	const high = math.MaxUint32 - 1 // "nobody" on macOS: -2 in 32 bits
	for _, test := range []struct {
		uid, gid int64
		peer     ttrpc.UnixCredentials
		ok       bool
	}{
		{1, 2, ttrpc.UnixCredentials{Uid: 1, Gid: 2}, true},
		{1, 2, ttrpc.UnixCredentials{Uid: 2, Gid: 1}, false},
		{-1, 2, ttrpc.UnixCredentials{Uid: 1, Gid: 2}, true},
		{-1, 2, ttrpc.UnixCredentials{Uid: 1, Gid: 1}, false},
		{1, -1, ttrpc.UnixCredentials{Uid: 1, Gid: 2}, true},
		{1, -1, ttrpc.UnixCredentials{Uid: 2, Gid: 2}, false},
		{-1, -1, ttrpc.UnixCredentials{Uid: 1, Gid: 2}, true},
		{high, high, ttrpc.UnixCredentials{Uid: high, Gid: high}, true},
		{-2, -2, ttrpc.UnixCredentials{Uid: high, Gid: high}, true},
		{-2, -2, ttrpc.UnixCredentials{Uid: 1, Gid: 1}, false},
		{1 << 32, 0, ttrpc.UnixCredentials{}, false},
		{0, -1 << 32, ttrpc.UnixCredentials{}, false},
		{-1 - 1<<32, 0, ttrpc.UnixCredentials{Uid: math.MaxUint32}, false},
	} {
		uid, gid := int(test.uid), int(test.gid)
		if fits := int64(int32(test.uid)) == test.uid && int64(int32(test.gid)) == test.gid; !fits && math.MaxInt == math.MaxInt32 {
			continue
		}
		err := ttrpc.UnixSocketRequireUidGid(uid, gid)(&test.peer)
		if test.ok {
			check(t, err)
			continue
		}
		wantIs(t, err, syscall.EPERM)
	}
}
