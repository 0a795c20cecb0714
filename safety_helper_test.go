//go:build go1.25

package ttrpc_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The files with this helper know only the public API and the bytes of the protocol.

const sfService = "safe.Service"

// sfPatience is when a hang fails its own test and not the whole run.
const sfPatience = time.Minute

var sfBoth = &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}

func sfText(s string) *wrapperspb.StringValue { return wrapperspb.String(s) }

// sfMethod makes a method of a function from text to any message.
func sfMethod(f func(ctx context.Context, in string) (any, error)) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(any) error) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := unmarshal(in); err != nil {
			return nil, err
		}
		return f(ctx, in.Value)
	}
}

func sfEcho(_ context.Context, in string) (any, error) { return sfText(in), nil }

// sfDesc is a service with the method "echo" and what is given; streams go both ways.
func sfDesc(methods map[string]ttrpc.Method, streams map[string]ttrpc.StreamHandler) *ttrpc.ServiceDesc {
	desc := &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{"echo": sfMethod(sfEcho)}}
	for name, m := range methods {
		desc.Methods[name] = m
	}
	desc.Streams = map[string]ttrpc.Stream{}
	for name, h := range streams {
		desc.Streams[name] = ttrpc.Stream{Handler: h, StreamingClient: true, StreamingServer: true}
	}
	return desc
}

// sfServe serves desc on l, or on a new unix socket if l is nil, until the test ends.
func sfServe(t testing.TB, l net.Listener, desc *ttrpc.ServiceDesc, opts ...ttrpc.ServerOpt) (*ttrpc.Server, net.Listener) {
	t.Helper()
	if l == nil {
		l = sfListen(t)
	}
	s, err := ttrpc.NewServer(opts...)
	sfCheck(t, err)
	s.RegisterService(sfService, desc)
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		s.Close()
		sfWait(t, served, "Serve to return")
	})
	return s, l
}

// sfListen listens on a unix socket, whose folder has a short name whatever the test is called.
func sfListen(t testing.TB) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	sfCheck(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	sfCheck(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func sfDial(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	sfCheck(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// sfClient returns a new client on conn, closed with the test.
func sfClient(t testing.TB, conn net.Conn, opts ...ttrpc.ClientOpts) *ttrpc.Client {
	c := ttrpc.NewClient(conn, opts...)
	t.Cleanup(func() { c.Close() })
	return c
}

// sfPair returns both ends of a connection over a unix socket.
func sfPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l := sfListen(t)
	a = sfDial(t, l)
	b, err := l.Accept()
	sfCheck(t, err)
	t.Cleanup(func() { b.Close() })
	return a, b
}

// sfListener accepts what is put into it.
type sfListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newSfListener(conns ...net.Conn) *sfListener {
	l := &sfListener{make(chan net.Conn, len(conns)), make(chan struct{})}
	for _, conn := range conns {
		l.conns <- conn
	}
	return l
}

func (l *sfListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *sfListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *sfListener) Addr() net.Addr { return &net.UnixAddr{Name: "sf", Net: "sf"} }

// sfHandshakeContext is a handshake that does not look at the connection.
type sfHandshakeContext func(ctx context.Context) error

func (f sfHandshakeContext) Handshake(ctx context.Context, conn net.Conn) (net.Conn, any, error) {
	return conn, nil, f(ctx)
}

// sfCall makes a unary call.
func sfCall(ctx context.Context, c *ttrpc.Client, method, in string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := c.Call(ctx, sfService, method, sfText(in), out)
	return out.Value, err
}

// sfGo starts a unary call and returns where its error will be.
func sfGo(ctx context.Context, c *ttrpc.Client, method, in string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := sfCall(ctx, c, method, in)
		done <- err
	}()
	return done
}

// sfWantEcho makes sure that a connection works.
func sfWantEcho(t testing.TB, c *ttrpc.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sfPatience)
	defer cancel()
	if out, err := sfCall(ctx, c, "echo", "still here"); err != nil || out != "still here" {
		t.Fatalf("echo: %q, %v", out, err)
	}
}

// sfFrame is a frame by its bytes.
type sfFrame struct {
	id         uint32
	typ, flags byte
	data       []byte
}

func (f sfFrame) String() string {
	return fmt.Sprintf("{id %d type %d flags %d data %q}", f.id, f.typ, f.flags, f.data)
}

func (f sfFrame) bytes() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(f.data)))
	b = binary.BigEndian.AppendUint32(b, f.id)
	return append(append(b, f.typ, f.flags), f.data...)
}

func sfRequest(id uint32, flags byte, method string, m proto.Message) sfFrame {
	req := &ttrpc.Request{Service: sfService, Method: method}
	if m != nil {
		req.Payload = sfEncode(m)
	}
	return sfFrame{id, 1, flags, sfEncode(req)}
}

func sfEncode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// sfPeer speaks the protocol by hand.
type sfPeer struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

func newSfPeer(t testing.TB, conn net.Conn) *sfPeer {
	t.Cleanup(func() { conn.Close() })
	return &sfPeer{conn, bufio.NewReader(conn), t}
}

func (p *sfPeer) send(frames ...sfFrame) {
	p.t.Helper()
	for _, f := range frames {
		_, err := p.Write(f.bytes())
		sfCheck(p.t, err)
	}
}

func (p *sfPeer) recv() sfFrame {
	p.t.Helper()
	f, err := p.receive()
	sfCheck(p.t, err)
	return f
}

func (p *sfPeer) receive() (sfFrame, error) {
	// A conn without deadlines waits for the test's own.
	_ = p.SetReadDeadline(time.Now().Add(sfPatience))
	var h [10]byte
	if _, err := io.ReadFull(p.in, h[:]); err != nil {
		return sfFrame{}, err
	}
	f := sfFrame{binary.BigEndian.Uint32(h[4:]), h[8], h[9], make([]byte, binary.BigEndian.Uint32(h[:]))}
	_, err := io.ReadFull(p.in, f.data)
	return f, err
}

// wantStatus reads a Response with a status.
func (p *sfPeer) wantStatus(id uint32, code codes.Code, text string) {
	p.t.Helper()
	f, resp := p.recv(), new(ttrpc.Response)
	err := proto.Unmarshal(f.data, resp)
	if f.id != id || f.typ != 2 || err != nil || resp.Status.GetCode() != int32(code) || resp.Status.GetMessage() != text {
		p.t.Fatalf("got %v %v, want %v %q for id %d", f, resp.Status, code, text, id)
	}
}

// wantData reads a Data frame with a text.
func (p *sfPeer) wantData(id uint32, text string) {
	p.t.Helper()
	f, m := p.recv(), new(wrapperspb.StringValue)
	if err := proto.Unmarshal(f.data, m); err != nil || f.id != id || f.typ != 3 || f.flags != 0 || m.Value != text {
		p.t.Fatalf("got %v, want Data %q for id %d", f, text, id)
	}
}

func sfCheck(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sfEqual[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func sfWantIs(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Fatalf("got error %v (%T), want one that is %q", err, err, target)
		}
	}
}

func sfWantStatus(t testing.TB, err error, code codes.Code, text string) {
	t.Helper()
	if st, ok := status.FromError(err); err == nil || !ok || st.Code() != code || st.Message() != text {
		t.Fatalf("got error %v (%T), want status %v %q", err, err, code, text)
	}
}

// sfWait waits for a channel, for a long time at most.
func sfWait[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	timer := time.NewTimer(sfPatience)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

// sfPanicOf returns what f panics with.
func sfPanicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

const sfChildVariable = "TTRPC_TEST_CHILD"

// sfChild is what this process was started for by sfRunChild; in the tests' own process it is
// empty.
func sfChild() string { return os.Getenv(sfChildVariable) }

// sfRunChild runs the calling test in a process of its own, for what ends a process or has it stand
// still.
func sfRunChild(t testing.TB, what string, env ...string) (output string, err error) {
	t.Helper()
	return sfRunChildOf(t, t.Name(), what, env...)
}

// sfRunChildOf is sfRunChild for subtests.
func sfRunChildOf(t testing.TB, test, what string, env ...string) (output string, err error) {
	t.Helper()
	self, err := os.Executable()
	sfCheck(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), sfPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(append(os.Environ(), sfChildVariable+"="+what), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.New("it hangs")
	}
	return string(out), err
}
