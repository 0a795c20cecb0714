//go:build go1.25

package conn

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/containerd/ttrpc/internal/reader"
	"github.com/containerd/ttrpc/internal/recv"
	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

var (
	errFirst   = errors.New("the first")
	errSecond  = errors.New("the second")
	errStalled = errors.New("stalled")
)

// fakeRole writes down what it is asked, and takes the Data of calls in flight.
type fakeRole struct {
	handle         func(in *transport.Inbound) bool // nil: nothing
	ended, stalled []*Stream
	extensions     []wire.Type
	refused        int // frames of Data that belong nowhere
	restrained     int
	silent         []time.Duration
}

func (r *fakeRole) Handle(in *transport.Inbound) bool { return r.handle == nil || r.handle(in) }
func (r *fakeRole) Handled() bool                     { return false }
func (r *fakeRole) RecvFailed(error)                  {}
func (r *fakeRole) TakesData(s *Stream, live bool, _ *transport.Inbound) bool {
	if !live || s == nil {
		r.refused++
	}
	return live && s != nil
}
func (r *fakeRole) DataEnded(s *Stream) { r.ended = append(r.ended, s) }
func (r *fakeRole) HandleExtension(in *transport.Inbound) {
	r.extensions = append(r.extensions, in.Type)
}
func (r *fakeRole) RestrainNew(before transport.Unwritten) transport.Unwritten {
	r.restrained++
	return before
}
func (r *fakeRole) FailStalled(s *Stream) {
	r.stalled = append(r.stalled, s)
	s.Discard(errStalled)
}
func (r *fakeRole) PeerSilent(within time.Duration) { r.silent = append(r.silent, within) }

// open makes a Conn that is open, and whose reader handles a frame. What the config does not say
// leaves room for all that a test has.
func open(t *testing.T, netConn net.Conn, role Role, config Config) *Conn {
	t.Helper()
	c := new(Conn)
	c.Init(netConn)
	config.MaxRecv = wire.DefaultMaxData
	for _, size := range []*int{&config.Backlog, &config.StreamBuffer, &config.ConnBuffer, &config.StreamWindow} {
		if *size == 0 {
			*size = 1 << 20
		}
	}
	if config.OnFail == nil {
		config.OnFail = func(error) {} // at the end of a test its connection is closed
	}
	c.Lock()
	defer c.Unlock()
	testkit.Equal(t, c.OpenLocked(netConn, role, &config), true)
	c.reading.may = reader.Wait
	return c
}

// onPipe is a Conn with a fakeRole, and its peer.
func onPipe(t *testing.T, config Config) (c *Conn, role *fakeRole, other net.Conn) {
	t.Helper()
	a, other := testkit.Pair(t, "pipe")
	role = new(fakeRole)
	return open(t, a, role, config), role, other
}

// newStream is a stream in flight.
func newStream(c *Conn, id uint32) *Stream {
	s := new(Stream)
	s.InitStream(c, id, BidiStream, recv.UntilEnded)
	c.Lock()
	defer c.Unlock()
	c.RegisterLocked(id, s)
	return s
}

// noStream is a server's unary call.
type noStream struct{}

func (noStream) Receiver() *Stream { return nil }

// inbound is a frame as the reader has it.
func inbound(raw []byte) *transport.Inbound {
	return &transport.Inbound{Header: wire.ParseHeader(raw), Raw: raw}
}

// deliver has a Conn handle a message that comes.
func deliver(c *Conn, id uint32, text string) bool {
	return c.HandleData(inbound(testkit.Data(id, text)))
}

// message is a Data frame that is to be sent.
func message(text string) *wire.Frame {
	f := wire.StartFrame(len(text))
	f.Append([]byte(text))
	f.Seal(wire.TypeData, 0)
	return f
}

// frame is what the peer reads next.
func frame(t *testing.T, other net.Conn) (h wire.Header, data string) {
	t.Helper()
	head := make([]byte, wire.HeaderLen)
	_, err := io.ReadFull(other, head)
	testkit.Check(t, err)
	h = wire.ParseHeader(head)
	body := make([]byte, h.Length)
	_, err = io.ReadFull(other, body)
	testkit.Check(t, err)
	return h, string(body)
}

// fakeSide is a stream's side, whose messages are texts.
type fakeSide struct {
	c           *Conn
	refusal     error // nil: the stream sends
	interrupted error
	answerErr   error
	decodeErr   error
}

func (p *fakeSide) Link() *Conn             { return p.c }
func (p *fakeSide) RefuseLocked(bool) error { return p.refusal }
func (p *fakeSide) Interrupted() error      { return p.interrupted }
func (p *fakeSide) TakeAnswer(reply *wire.Frame, m any) (size int, err error) {
	return len(reply.Data()), p.take(reply.Data(), m, p.answerErr)
}
func (p *fakeSide) Decode(_ *wire.Frame, b []byte, m any) error { return p.take(b, m, p.decodeErr) }
func (p *fakeSide) PostLocked(f *wire.Frame) (transport.Unwritten, error) {
	return p.c.PostLocked(f)
}

func (p *fakeSide) take(b []byte, m any, err error) error {
	*m.(*string) = string(b)
	return err
}

// receive wants a message.
func receive(t *testing.T, s *Stream, side Consumer, want string) {
	t.Helper()
	var got string
	_, err := s.Receive(side, &got)
	testkit.Check(t, err)
	testkit.Equal(t, got, want)
}

// wantEnd wants no message, but an error.
func wantEnd(t *testing.T, s *Stream, side Consumer, want error) {
	t.Helper()
	_, err := s.Receive(side, new(string))
	testkit.WantExactly(t, err, want)
}
