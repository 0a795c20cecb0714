//go:build go1.25

package ttrpc_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
)

// rawPeer speaks the protocol by hand, with none of the package's code: what PROTOCOL.md says of
// bytes is tested with it, on either side.
type rawPeer struct {
	net.Conn
	in *bufio.Reader // so small that it reads nothing ahead but what peek asks for
	t  testing.TB

	extensions bool // the peer's first Response or Data had the flag, which receive takes away
	answers    int  // how many there were
}

func newRawPeer(t testing.TB, conn net.Conn) *rawPeer {
	t.Cleanup(func() { conn.Close() })
	return &rawPeer{Conn: conn, in: bufio.NewReaderSize(conn, 16), t: t}
}

// peek waits until bytes have arrived, and leaves them for receive.
func (p *rawPeer) peek() {
	p.t.Helper()
	check(p.t, p.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err := p.in.Peek(10)
	check(p.t, err)
}

// rawFrame is a frame; claim, if not zero, is the length that its header says in place of the
// data's.
type rawFrame struct {
	id    uint32
	typ   byte
	flags byte
	data  []byte
	claim uint32
}

func (f rawFrame) String() string {
	return fmt.Sprintf("{id %d type %d flags %d data %d: %.200q}", f.id, f.typ, f.flags, len(f.data), f.data)
}

func (f rawFrame) equal(g rawFrame) bool {
	return f.id == g.id && f.typ == g.typ && f.flags == g.flags && bytes.Equal(f.data, g.data)
}

func (f rawFrame) bytes() []byte {
	length := uint32(len(f.data))
	if f.claim != 0 {
		length = f.claim
	}
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, f.id)
	return append(append(b, f.typ, f.flags), f.data...)
}

// send writes frames in one write.
func (p *rawPeer) send(frames ...rawFrame) {
	p.t.Helper()
	var b []byte
	for _, f := range frames {
		b = append(b, f.bytes()...)
	}
	check(p.t, p.SetWriteDeadline(time.Now().Add(time.Minute)))
	_, err := p.Write(b)
	check(p.t, err)
}

// receive reads a frame.
func (p *rawPeer) receive() (rawFrame, error) {
	if err := p.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return rawFrame{}, err
	}
	var h [10]byte
	if _, err := io.ReadFull(p.in, h[:]); err != nil {
		return rawFrame{}, err
	}
	f := rawFrame{
		id: binary.BigEndian.Uint32(h[4:]), typ: h[8], flags: h[9],
		data: make([]byte, binary.BigEndian.Uint32(h[:])),
	}
	_, err := io.ReadFull(p.in, f.data)
	if f.typ == 2 || f.typ == 3 {
		if p.answers++; p.answers == 1 && f.flags&0x80 != 0 {
			p.extensions, f.flags = true, f.flags&^0x80
		}
	}
	return f, err
}

func (p *rawPeer) recv() rawFrame {
	p.t.Helper()
	f, err := p.receive()
	check(p.t, err)
	return f
}

// recvRequest reads a Request.
func (p *rawPeer) recvRequest() (rawFrame, *ttrpc.Request) {
	p.t.Helper()
	f, req := p.recv(), new(ttrpc.Request)
	equal(p.t, f.typ, 1)
	check(p.t, proto.Unmarshal(f.data, req))
	return f, req
}

// recvResponse reads a Response.
func (p *rawPeer) recvResponse() (rawFrame, *ttrpc.Response) {
	p.t.Helper()
	f := p.recv()
	return f, f.response(p.t)
}

func (f rawFrame) response(t testing.TB) *ttrpc.Response {
	t.Helper()
	resp := new(ttrpc.Response)
	if f.typ != 2 || f.flags != 0 || proto.Unmarshal(f.data, resp) != nil {
		t.Fatalf("not a Response: %v", f)
	}
	return resp
}

// want reads a frame and compares it.
func (p *rawPeer) want(want rawFrame) {
	p.t.Helper()
	if got := p.recv(); !got.equal(want) {
		p.t.Fatalf("got frame %v, want %v", got, want)
	}
}

// wantAnswer reads a successful Response with a text.
func (p *rawPeer) wantAnswer(id uint32, want string) {
	p.t.Helper()
	p.want(answer(id, want))
}

// wantStatus reads a Response with a status.
func (p *rawPeer) wantStatus(id uint32, code codes.Code, msg string) {
	p.t.Helper()
	f, resp := p.recvResponse()
	if st := resp.Status; f.id != id || st.GetCode() != int32(code) || st.GetMessage() != msg {
		p.t.Fatalf("got %v %v, want status %v %q for id %d", f, resp, code, msg, id)
	}
}

// wantData reads a Data frame with a text.
func (p *rawPeer) wantData(id uint32, want string) {
	p.t.Helper()
	p.want(data(id, 0, want))
}

// wantEnd reads the end of the connection.
func (p *rawPeer) wantEnd() {
	p.t.Helper()
	if f, err := p.receive(); err == nil {
		p.t.Fatalf("got frame %v, want the end of the connection", f)
	}
}

// wantUsable makes sure that the server still answers on this connection, and has nothing else to
// say. The id is that of a call that the peer has not made yet.
func (p *rawPeer) wantUsable(id uint32) {
	p.t.Helper()
	p.send(request(id, "echo", "usable"))
	p.wantAnswer(id, "usable")
}

func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// request is a unary call of the test service.
func request(id uint32, method, in string) rawFrame {
	return requestOf(id, 0, &ttrpc.Request{Service: svc, Method: method, Payload: encode(text(in))})
}

func requestOf(id uint32, flags byte, req *ttrpc.Request) rawFrame {
	return rawFrame{id: id, typ: 1, flags: flags, data: encode(req)}
}

// requestWith calls a method of the test service with any message, or with none.
func requestWith(id uint32, flags byte, method string, m proto.Message) rawFrame {
	req := &ttrpc.Request{Service: svc, Method: method}
	if m != nil {
		req.Payload = encode(m)
	}
	return requestOf(id, flags, req)
}

// opening is the Request of a stream without a message.
func opening(id uint32, method string) rawFrame {
	return requestOf(id, 6, &ttrpc.Request{Service: svc, Method: method})
}

// data is a Data frame with a text.
func data(id uint32, flags byte, in string) rawFrame {
	return rawFrame{id: id, typ: 3, flags: flags, data: encode(text(in))}
}

// closing is a Data frame that ends a half.
func closing(id uint32) rawFrame { return rawFrame{id: id, typ: 3, flags: 5} }

// answer is a successful Response with a text.
func answer(id uint32, out string) rawFrame {
	return rawFrame{id: id, typ: 2, data: encode(&ttrpc.Response{Payload: encode(text(out))})}
}

// refusal is a Response with a status.
func refusal(id uint32, code codes.Code, msg string) rawFrame {
	return rawFrame{id: id, typ: 2, data: encode(&ttrpc.Response{Status: &spb.Status{Code: int32(code), Message: msg}})}
}

// exchange is what a client sends, all at once, and what a server answers, in this order.
type exchange struct {
	name string
	send []rawFrame
	want []rawFrame
}

// run plays exchanges, each on a connection of its own that has to be usable after it.
func (r *rig) run(t *testing.T, exchanges ...exchange) {
	t.Helper()
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			p := newRawPeer(t, r.conn())
			p.send(x.send...)
			for _, want := range x.want {
				p.want(want)
			}
			p.wantUsable(999)
		})
	}
}

func frames(f ...rawFrame) []rawFrame { return f }

// wantEndAfterAnswers reads what there is, to the end of the connection.
func (p *rawPeer) wantEndAfterAnswers() {
	for {
		if _, err := p.receive(); err != nil {
			return
		}
	}
}

// field is an encoded field of bytes.
func field(number protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
}

// number is an encoded varint field.
func number(n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}
