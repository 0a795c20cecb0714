//go:build go1.25

package serverconn

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/callctx"
	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

func TestMain(m *testing.M) {
	testkit.Main(m, "internal/serverconn.", "internal/conn.", "internal/transport.")
}

var errBroken = errors.New("broken")

// fakeServer counts what it is told.
type fakeServer struct {
	done            bool
	freed, advanced atomic.Int32
}

func (s *fakeServer) IsDone() bool { return s.done }
func (s *fakeServer) FreeSlot()    { s.freed.Add(1) }
func (s *fakeServer) Advanced()    { s.advanced.Add(1) }

// fakeRole does nothing with a frame, for nobody reads here.
type fakeRole struct{ ended atomic.Int32 }

func (*fakeRole) Handle(*transport.Inbound) bool                             { return true }
func (*fakeRole) Handled() bool                                              { return false }
func (*fakeRole) RecvFailed(error)                                           {}
func (*fakeRole) TakesData(*conn.Stream, bool, *transport.Inbound) bool      { return true }
func (*fakeRole) DataEnded(*conn.Stream)                                     {}
func (*fakeRole) HandleExtension(*transport.Inbound)                         {}
func (*fakeRole) RestrainNew(before transport.Unwritten) transport.Unwritten { return before }
func (*fakeRole) FailStalled(*conn.Stream)                                   {}
func (*fakeRole) PeerSilent(time.Duration)                                   {}
func (r *fakeRole) ContextEnded()                                            { r.ended.Add(1) }

// fakeCall is a call with a stream, or none, and a context, or none.
type fakeCall struct {
	stream *conn.Stream
	own    *callctx.Context
}

func (c *fakeCall) Receiver() *conn.Stream    { return c.stream }
func (c *fakeCall) Context() *callctx.Context { return c.own }

// rig is a connection with its server and its peer.
type rig struct {
	*Conn
	server *fakeServer
	role   *fakeRole
	client net.Conn
}

// newRig makes a connection before its handshake, for three calls and 1,000 bytes of requests.
func newRig(t *testing.T) *rig {
	t.Helper()
	own, client := testkit.Pair(t, "unix")
	r := &rig{new(Conn), new(fakeServer), new(fakeRole), client}
	r.Init(own, r.server, context.Background(), r.role, 3, 1000)
	return r
}

// open is a rig whose connection is open.
func open(t *testing.T, extensions peer.State) *rig {
	t.Helper()
	r := newRig(t)
	config := conn.Config{
		MaxRecv: 1 << 20, Backlog: 1 << 20, StreamBuffer: 1 << 20, ConnBuffer: 1 << 20, StreamWindow: 1 << 20,
		Extensions: extensions, OnFail: func(err error) { r.end(err) },
	}
	r.Lock()
	defer r.Unlock()
	testkit.Equal(t, r.OpenLocked(r.NetConn(), r.role, &config), true)
	t.Cleanup(func() { r.end(io.EOF) })
	return r
}

// end closes the connection.
func (r *rig) end(cause error) (first bool) {
	first = r.End(cause)
	r.CloseNetConn()
	return first
}

// begin puts a call in flight.
func (r *rig) begin(t *testing.T, id uint32, call *fakeCall) *fakeCall {
	t.Helper()
	closed, refusal := r.Begin(id, call, 10)
	testkit.Equal(t, closed, false)
	testkit.Equal(t, refusal, "")
	return call
}

// finish answers a call.
func (r *rig) finish(id uint32) { r.Finish(id, 10, wire.EndFrame()).Flush(true) }

// wantFrame reads the next frame.
func (r *rig) wantFrame(t *testing.T, typ wire.Type, id uint32) (flags uint8, data []byte) {
	t.Helper()
	head := make([]byte, wire.HeaderLen)
	_, err := io.ReadFull(r.client, head)
	testkit.Check(t, err)
	h := wire.ParseHeader(head)
	testkit.Equal(t, h.Type, typ)
	testkit.Equal(t, h.Stream, id)
	data = make([]byte, h.Length)
	_, err = io.ReadFull(r.client, data)
	testkit.Check(t, err)
	return h.Flags, data
}

// The first end counts. Contexts end, those who receive look, and calls are in flight no more.
func TestEnd(t *testing.T) {
	r := open(t, peer.Off)
	ctx := r.Contexts().Context()
	s := new(conn.Stream)
	s.InitStream(r.Link(), 1, conn.BidiStream, recv.UntilDiscarded)
	r.begin(t, 1, &fakeCall{stream: s})
	r.begin(t, 3, new(fakeCall))
	testkit.Equal(t, r.Cause(), nil)
	testkit.Equal(t, r.end(errBroken), true)
	testkit.Equal(t, r.end(io.EOF), false)
	testkit.Equal(t, r.Cause(), errBroken)
	testkit.Equal(t, ctx.Err(), context.Canceled)
	<-s.Ready()
	r.Lock()
	testkit.Equal(t, r.InFlightLocked(), 0)
	r.Unlock()
	testkit.Eventually(t, "its owner is told", func() bool { return r.role.ended.Load() == 1 })
	_, err := r.client.Read(make([]byte, 1))
	testkit.Equal(t, err, io.EOF)
}
