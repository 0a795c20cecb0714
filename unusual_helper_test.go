// Built by Go 1.23 as well, for some of the files that use it.

package ttrpc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The files named unusual_* use nothing but the public API and bytes, so that they can be run
// against other releases of this module.

const uxService = "unusual.Service"

func uxText(s string) *wrapperspb.StringValue { return wrapperspb.String(s) }

// uxUnary makes a method of a function from text to text.
func uxUnary(f func(ctx context.Context, in string) (string, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		out, err := f(ctx, in.Value)
		if err != nil {
			return nil, err
		}
		return uxText(out), nil
	}
}

func uxEcho(_ context.Context, in string) (string, error) { return in, nil }

// uxChat sends back what it receives.
func uxChat(_ context.Context, ss ttrpc.StreamServer) (any, error) {
	for {
		in := new(wrapperspb.StringValue)
		if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if err := ss.SendMsg(in); err != nil {
			return nil, err
		}
	}
}

// uxStandard serves echo and chat.
func uxStandard() *ttrpc.ServiceDesc {
	return &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"echo": uxUnary(uxEcho)},
		Streams: map[string]ttrpc.Stream{"chat": {Handler: uxChat, StreamingClient: true, StreamingServer: true}},
	}
}

var uxBoth = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}

func uxCheck(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// uxServer is a server on a unix socket.
type uxServer struct {
	*ttrpc.Server
	t    testing.TB
	addr string
}

// uxServe serves desc until the test ends; nil is uxStandard.
func uxServe(t testing.TB, desc *ttrpc.ServiceDesc, opts ...ttrpc.ServerOpt) *uxServer {
	t.Helper()
	if desc == nil {
		desc = uxStandard()
	}
	server, err := ttrpc.NewServer(opts...)
	uxCheck(t, err)
	server.RegisterService(uxService, desc)
	s := &uxServer{server, t, filepath.Join(t.TempDir(), "s")}
	s.listen(context.Background())
	return s
}

// listen serves on the socket with ctx until the test ends.
func (s *uxServer) listen(ctx context.Context) {
	s.t.Helper()
	l, err := net.Listen("unix", s.addr)
	uxCheck(s.t, err)
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(ctx, l) }()
	s.t.Cleanup(func() { s.Close(); l.Close(); <-served })
}

func (s *uxServer) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("unix", s.addr)
	uxCheck(s.t, err)
	return conn
}

func (s *uxServer) client(opts ...ttrpc.ClientOpts) *ttrpc.Client {
	s.t.Helper()
	client := ttrpc.NewClient(s.dial(), opts...)
	s.t.Cleanup(func() { client.Close() })
	return client
}

// uxPipes is a listener whose connections are net.Pipe's: they work in a bubble of
// testing/synctest, and what happens before a Write happens before its Read for the race detector.
type uxPipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newUxPipes() *uxPipes {
	return &uxPipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *uxPipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *uxPipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *uxPipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *uxPipes) dial() net.Conn {
	mine, theirs := net.Pipe()
	l.conns <- theirs
	return mine
}

// uxCall makes a call with a text and returns the answer's.
func uxCall(ctx context.Context, c *ttrpc.Client, method, in string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.Call(ctx, uxService, method, uxText(in), out)
	return out.Value, err
}

// uxRaw speaks the protocol by hand, on either side.
type uxRaw struct {
	net.Conn
	t testing.TB
}

// raw is a client of the server.
func (s *uxServer) raw() *uxRaw {
	p := &uxRaw{s.dial(), s.t}
	s.t.Cleanup(func() { p.Close() })
	return p
}

// uxRawServer returns a conn for a client, and the raw peer at its other end.
func uxRawServer(t testing.TB) (net.Conn, *uxRaw) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	uxCheck(t, err)
	defer l.Close()
	conn, err := net.Dial("unix", l.Addr().String())
	uxCheck(t, err)
	peer, err := l.Accept()
	uxCheck(t, err)
	t.Cleanup(func() { conn.Close(); peer.Close() })
	return conn, &uxRaw{peer, t}
}

const (
	uxTypeRequest  = 1
	uxTypeResponse = 2
	uxTypeData     = 3
)

// uxFrame is a frame; length, if not zero, is what its header says in place of the data's.
type uxFrame struct {
	id         uint32
	typ, flags byte
	data       []byte
	length     uint32
}

func (f uxFrame) bytes() []byte {
	length := f.length
	if length == 0 {
		length = uint32(len(f.data))
	}
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, f.id)
	return append(append(b, f.typ, f.flags), f.data...)
}

// String says what a peer reads in the frame.
func (f uxFrame) String() string {
	if f.typ == uxTypeData {
		return fmt.Sprintf("id %d: data, flags %d, %d bytes", f.id, f.flags, len(f.data))
	}
	var resp ttrpc.Response
	if f.typ != uxTypeResponse || proto.Unmarshal(f.data, &resp) != nil {
		return fmt.Sprintf("id %d: type %d, flags %d, %q", f.id, f.typ, f.flags, f.data)
	}
	if resp.Status != nil {
		return uxRefusal(f.id, codes.Code(resp.Status.Code), resp.Status.Message)
	}
	var out wrapperspb.StringValue
	if proto.Unmarshal(resp.Payload, &out) != nil {
		return fmt.Sprintf("id %d: payload %q", f.id, resp.Payload)
	}
	return uxAnswer(f.id, out.Value)
}

// uxAnswer and uxRefusal are what String says of a Response.
func uxAnswer(id uint32, out string) string { return fmt.Sprintf("id %d: answer %q", id, out) }

func uxRefusal(id uint32, code codes.Code, text string) string {
	return fmt.Sprintf("id %d: %v %q", id, code, text)
}

func uxEncode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// uxRequest is a call of the service with a text.
func uxRequest(id uint32, method, in string) uxFrame {
	req := &ttrpc.Request{Service: uxService, Method: method, Payload: uxEncode(uxText(in))}
	return uxFrame{id: id, typ: uxTypeRequest, data: uxEncode(req)}
}

// uxOpening is the Request of a stream without a message.
func uxOpening(id uint32, method string) uxFrame {
	return uxFrame{id: id, typ: uxTypeRequest, flags: 6, data: uxEncode(&ttrpc.Request{Service: uxService, Method: method})}
}

func uxData(id uint32, in string) uxFrame {
	return uxFrame{id: id, typ: uxTypeData, data: uxEncode(uxText(in))}
}

// write is send for a goroutine other than the test's.
func (p *uxRaw) write(frames ...uxFrame) error {
	var b []byte
	for _, f := range frames {
		b = append(b, f.bytes()...)
	}
	if err := p.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	_, err := p.Write(b)
	return err
}

func (p *uxRaw) send(frames ...uxFrame) {
	p.t.Helper()
	uxCheck(p.t, p.write(frames...))
}

func (p *uxRaw) receive() (uxFrame, error) {
	if err := p.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return uxFrame{}, err
	}
	var h [10]byte
	if _, err := io.ReadFull(p, h[:]); err != nil {
		return uxFrame{}, err
	}
	f := uxFrame{id: binary.BigEndian.Uint32(h[4:]), typ: h[8], flags: h[9] &^ 0x80}
	f.data = make([]byte, binary.BigEndian.Uint32(h[:]))
	_, err := io.ReadFull(p, f.data)
	return f, err
}

func (p *uxRaw) recv() uxFrame {
	p.t.Helper()
	f, err := p.receive()
	uxCheck(p.t, err)
	return f
}

// want reads a frame, of which String says each of these.
func (p *uxRaw) want(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if got := p.recv().String(); got != text {
			p.t.Fatalf("got  %s\nwant %s", got, text)
		}
	}
}

// wantUsable makes a call, which no answer may come before.
func (p *uxRaw) wantUsable(id uint32) {
	p.t.Helper()
	p.send(uxRequest(id, "echo", "usable"))
	p.want(uxAnswer(id, "usable"))
}
