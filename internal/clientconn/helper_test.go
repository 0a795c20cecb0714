//go:build go1.25

package clientconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

func TestMain(m *testing.M) {
	testkit.Main(m, "internal/clientconn.", "internal/conn.", "internal/transport.")
}

var (
	bg       = context.Background()
	errEnded = errors.New("ended")
	errFirst = errors.New("the first")
)

// The limits of the connections here.
const (
	maxRecv      = 1 << 10
	streamBuffer = 1 << 12
)

// fakeOwner ends its connection when it has to, and remembers why.
type fakeOwner struct {
	c     *Conn
	ended chan error // the cause
}

func (o *fakeOwner) Fail(cause error) {
	if _, first := o.c.End(cause, errEnded, false); first {
		o.ended <- cause
	}
}

// rig is a Conn that is open and read, and its server.
type rig struct {
	*Conn
	owner  *fakeOwner
	server net.Conn
	sent   chan wire.Header // frames that the server has got
}

// inBubble runs a test of a Conn, of whose server that is known about extensions.
func inBubble(t *testing.T, known peer.State, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Open(r.NetConn(), &conn.Config{
			MaxRecv: maxRecv, Backlog: 1 << 20, StreamBuffer: streamBuffer, ConnBuffer: 1 << 20, StreamWindow: 1 << 20,
			StallTimeout: time.Minute, Extensions: known, First: func([]byte) error { return nil },
		})
		go r.Read()
		test(t, r)
		r.End(errEnded, errEnded, false)
	})
}

// newRig is a Conn that is not open yet.
func newRig(t *testing.T) *rig {
	a, b := testkit.Pair(t, "pipe")
	c := new(Conn)
	r := &rig{c, &fakeOwner{c, make(chan error, 10)}, b, make(chan wire.Header, 1000)}
	c.Init(a, r.owner, false)
	go r.serve()
	return r
}

// serve reads what is sent.
func (r *rig) serve() {
	defer close(r.sent)
	for {
		head := make([]byte, wire.HeaderLen)
		if _, err := io.ReadFull(r.server, head); err != nil {
			return
		}
		h := wire.ParseHeader(head)
		if _, err := io.CopyN(io.Discard, r.server, int64(h.Length)); err != nil {
			return
		}
		r.sent <- h
	}
}

// wantSent wants the server to have got these frames since the last time.
func (r *rig) wantSent(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	got := []string{}
	for len(r.sent) > 0 {
		h := <-r.sent
		got = append(got, fmt.Sprintf("%s %d flags %d", names[h.Type], h.Stream, h.Flags))
	}
	testkit.Equal(t, fmt.Sprintf("%q", got), fmt.Sprintf("%q", append([]string{}, want...)))
}

var names = map[wire.Type]string{
	wire.TypeRequest: "request", wire.TypeData: "data", wire.TypeHello: "hello", wire.TypeCancel: "cancel",
}

// answer has the server send a frame, and waits until that has had its effect.
func (r *rig) answer(t *testing.T, f testkit.Frame) {
	t.Helper()
	_, err := r.server.Write(f.Bytes())
	testkit.Check(t, err)
	synctest.Wait()
}

func response(id uint32) testkit.Frame { return testkit.Frame{ID: id, Type: byte(wire.TypeResponse)} }

// known is a Response by which the server says that it knows extensions.
func known(id uint32) testkit.Frame {
	f := response(id)
	f.Flags = wire.FlagExtensions
	return f
}

func goAway(last byte) testkit.Frame {
	return testkit.Frame{Type: byte(wire.TypeGoAway), Data: []byte{0, 0, 0, last}}
}

func request() *wire.Frame { return wire.ControlFrame(wire.TypeRequest, 0, nil) }

// unary begins a unary call.
func (r *rig) unary(t *testing.T) *conn.Stream {
	t.Helper()
	s := new(conn.Stream)
	s.InitUnary()
	testkit.Check(t, r.Begin(bg, s, request()))
	return s
}

// stream begins a stream.
func (r *rig) stream(t *testing.T, kind conn.Kind) *conn.Stream {
	t.Helper()
	s := r.newStream(kind)
	testkit.Check(t, r.Begin(bg, s, request()))
	return s
}

func (r *rig) newStream(kind conn.Kind) *conn.Stream {
	s := new(conn.Stream)
	s.InitStream(r.Link(), 0, kind, recv.UntilEnded)
	return s
}

// wantRefused wants no call to begin, for a cause.
func (r *rig) wantRefused(t *testing.T, want string) {
	t.Helper()
	testkit.Equal(t, r.Begin(bg, r.newStream(conn.BidiStream), request()).Error(), want)
}

// wantCause wants the owner to have ended the connection.
func (r *rig) wantCause(t *testing.T, want error) {
	t.Helper()
	synctest.Wait()
	testkit.WantExactly(t, <-r.owner.ended, want)
}

// wantUp wants the connection not to have ended.
func (r *rig) wantUp(t *testing.T) {
	t.Helper()
	synctest.Wait()
	testkit.WantExactly(t, r.Cause(), nil)
}
