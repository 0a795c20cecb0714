package grpcttrpc

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// AuthInfo is the peer.Peer.AuthInfo of a connection over a unix socket, which no other user of the
// machine can read or change.
type AuthInfo struct {
	credentials.CommonAuthInfo

	// Unix has the credentials of a client's process, in a server whose handshaker is one of
	// ttrpc.UnixSocketRequire... or another ttrpc.UnixCredentialsFunc; else it is nil.
	Unix *ttrpc.UnixCredentials
}

// AuthType is "local", as it is of grpc's credentials/local.
func (AuthInfo) AuthType() string { return "local" }

// peer says who is at the other end of a client's connection.
func (cc *ClientConn) peer() *peer.Peer {
	p := &peer.Peer{Addr: cc.client.RemoteAddr(), LocalAddr: cc.client.LocalAddr(), AuthInfo: cc.authInfo}
	if p.AuthInfo == nil {
		p.AuthInfo = authInfo(p.Addr, nil)
	}
	return p
}

// servedPeer says who calls a handler.
func servedPeer(ctx context.Context) *peer.Peer {
	p := &peer.Peer{Addr: ttrpc.RemoteAddr(ctx), LocalAddr: ttrpc.LocalAddr(ctx)}
	p.AuthInfo = authInfo(p.Addr, ttrpc.HandshakeData(ctx))
	return p
}

// authInfo says how a connection is secured, from what a handshake has found; nil is not at all.
func authInfo(addr net.Addr, handshake any) credentials.AuthInfo {
	if info, ok := handshake.(credentials.AuthInfo); ok {
		return info
	}
	unix, known := handshake.(*ttrpc.UnixCredentials)
	if !known && (addr == nil || addr.Network() != "unix") {
		return nil
	}
	return AuthInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, unix}
}
