//go:build go1.25

package ttrpc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
)

// tlsPair returns the configurations of a server with a certificate of its own, and of a client
// that knows it.
func tlsPair(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"ttrpc.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "ttrpc.test"}
}

// wrappedConn is a net.Conn of no type that the package knows.
type wrappedConn struct{ net.Conn }

type wrappedListener struct{ net.Listener }

func (l wrappedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return wrappedConn{conn}, err
}

// Everything works over every net.Conn.
func TestEveryKindOfConnCarriesAll(t *testing.T) {
	server, client := tlsPair(t)
	overTLS := func(conn net.Conn) net.Conn { return tls.Client(conn, client) }
	acceptTLS := func(l net.Listener) net.Listener { return tls.NewListener(l, server) }
	for name, test := range map[string]struct {
		network
		wrapListener func(net.Listener) net.Listener
		wrapConn     func(net.Conn) net.Conn
	}{
		"unix": {network: "unix"},
		"tcp":  {network: "tcp"},
		"pipe": {network: "pipe"},
		"wrapped": {"unix", func(l net.Listener) net.Listener { return wrappedListener{l} },
			func(conn net.Conn) net.Conn { return wrappedConn{conn} }},
		"tls":             {"tcp", acceptTLS, overTLS},
		"tls over a pipe": {"pipe", acceptTLS, overTLS},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, test.network)
			served := l
			if test.wrapListener != nil {
				served = test.wrapListener(l)
			}
			r := serve(t, served)
			r.l = l
			conn := r.conn()
			if test.wrapConn != nil {
				conn = test.wrapConn(conn)
			}
			c := ttrpc.NewClient(conn)
			t.Cleanup(func() { c.Close() })
			useAll(t, r, c)
		})
	}
}

// useAll does a bit of everything on a client, and ends with its server.
func useAll(t *testing.T, r *rig, c *ttrpc.Client) {
	t.Helper()
	wantEcho(t, c)
	large := strings.Repeat("x", 2<<20)
	out, err := call(bg, c, "echo", large)
	check(t, err)
	equal(t, out == large, true)
	cs := open(t, bg, c, both, "chat", text("a"))
	check(t, cs.SendMsg(text(large)))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "a", large)
	cs = open(t, bg, c, up, "join", text("a"))
	check(t, cs.SendMsg(text("b")))
	check(t, cs.CloseSend())
	wantTexts(t, cs, "[a][b]")
	wantTexts(t, open(t, bg, c, down, "list", text("3")), "0", "1", "2")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 10 {
				useOnce(t, c, i, j)
			}
		})
	}
	wg.Wait()
	held := goCall(bg, c, "hold", "")
	wantEcho(t, c)
	check(t, r.Close())
	wantIs(t, wait(t, held, "the call at the end"), ttrpc.ErrClosed)
	check(t, c.UserOnCloseWait(bg))
	check(t, r.Shutdown(bg))
}
