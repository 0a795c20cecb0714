package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// frame is one message on the wire, as written by hand.
func frame(id uint32, kind, flags byte, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = binary.BigEndian.AppendUint32(b, id)
	return append(append(b, kind, flags), data...)
}

// request is the envelope of a call of service "s".
func request(method, arg string) []byte {
	payload, err := proto.Marshal(text(arg))
	if err != nil {
		panic(err)
	}
	b, err := proto.Marshal(&ttrpc.Request{Service: "s", Method: method, Payload: payload})
	if err != nil {
		panic(err)
	}
	return b
}

// Nothing more is expected on a connection after several quiet whiles. One that ends late
// does not count, for whoever should have sent something has had no processor either.
const (
	quietWhile  = 120 * time.Millisecond
	quietWhiles = 3
	lateEnd     = quietWhile / 4
	maxWhiles   = 50 // late ones included
)

// readFrames reads until nothing comes for a while, and prints every frame, lowest id first.
func readFrames(conn net.Conn) string {
	var all []shownFrame
	for {
		head, err := readHeader(conn)
		if err != nil {
			sort.SliceStable(all, func(i, j int) bool { return all[i].id < all[j].id })
			return showFrames(all) + endText(err)
		}
		data := make([]byte, binary.BigEndian.Uint32(head[:4]))
		if _, err := io.ReadFull(conn, data); err != nil {
			return showFrames(all) + "cut short"
		}
		id := binary.BigEndian.Uint32(head[4:8])
		all = append(all, shownFrame{id, showFrame(id, head[8], head[9], data)})
	}
}

// awaitFrames is readFrames where at least one frame must come, or the end.
func awaitFrames(conn net.Conn) string {
	var first [1]byte
	var err error
	conn.SetReadDeadline(time.Time{})
	if !(probePatience / 4).run(func() { _, err = conn.Read(first[:]) }) {
		return "nothing"
	}
	if err != nil {
		return endText(err)
	}
	return readFrames(&unreadConn{conn, first[:]})
}

// endText words the end of reading. Whether a connection ends in a reset depends on how much of
// what was written the other side had read by then.
func endText(err error) string {
	if errors.Is(err, syscall.ECONNRESET) {
		err = io.EOF
	}
	return err.Error()
}

// unreadConn gives back what was read too early.
type unreadConn struct {
	net.Conn
	unread []byte
}

func (c *unreadConn) Read(b []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// readHeader reads the next frame's header; its error may be errSilence.
func readHeader(conn net.Conn) (head [10]byte, err error) {
	quiet := 0
	for i := 0; i < maxWhiles && quiet < quietWhiles; i++ {
		end := time.Now().Add(quietWhile)
		conn.SetReadDeadline(end)
		n, err := io.ReadFull(conn, head[:])
		if err == nil || n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			conn.SetReadDeadline(time.Time{})
			return head, err
		}
		if time.Since(end) < lateEnd {
			quiet++
		}
	}
	return head, errSilence
}

var errSilence = errors.New("silence")

type shownFrame struct {
	id   uint32
	text string
}

func showFrames(all []shownFrame) string {
	var b strings.Builder
	for _, f := range all {
		b.WriteString(f.text + " | ")
	}
	return b.String()
}

// knowsExtensions is a flag of a server's first answer, whichever that is. A probe of its own looks
// at it.
const knowsExtensions = 0x80

// showFrame prints a frame; a Response shows its status and payload.
func showFrame(id uint32, kind, flags byte, data []byte) string {
	if kind == 2 || kind == 3 {
		flags &^= knowsExtensions
	}
	body := hex.EncodeToString(data)
	if kind == 2 {
		var resp ttrpc.Response
		if err := proto.Unmarshal(data, &resp); err != nil {
			body = err.Error()
		} else if resp.Status != nil {
			body = fmt.Sprintf("code %d %q payload %x", resp.Status.Code, tame(resp.Status.Message), resp.Payload)
		} else {
			body = fmt.Sprintf("payload %x", resp.Payload)
		}
	}
	return fmt.Sprintf("id %d type %d flags %d [%s]", id, kind, flags, body)
}

// rawWorld has a unary method, one that never answers, and the streams.
func rawWorld() *world {
	return newWorld(func(s *ttrpc.Server) {
		s.RegisterService("s", &ttrpc.ServiceDesc{
			Methods: map[string]ttrpc.Method{"echo": echo, "until": until, "nil": answers(nil), "empty": answers(text("")),
				"look": func(ctx context.Context, _ func(any) error) (any, error) {
					return text(fmt.Sprint(ctx.Err())), nil
				}},
			Streams: map[string]ttrpc.Stream{
				"both":  {Handler: echoStream, StreamingClient: true, StreamingServer: true},
				"join":  {Handler: join, StreamingClient: true},
				"list":  {Handler: listStream, StreamingServer: true},
				"takes": {Handler: linger, StreamingServer: true},
				"stays": {Handler: stay, StreamingClient: true, StreamingServer: true},
				"reply": {Handler: returns(text("r"), nil), StreamingServer: true},
			},
		})
	})
}

func listStream(_ context.Context, s ttrpc.StreamServer) (any, error) {
	v, err := recv(s)
	if err != nil {
		return nil, err
	}
	for i := range 2 {
		if err := s.SendMsg(text(fmt.Sprint(v, i))); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// linger is a stream that takes one message and is in flight until its context ends.
func linger(ctx context.Context, s ttrpc.StreamServer) (any, error) {
	if _, err := recv(s); err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// stay is a stream that is in flight until its context ends.
func stay(ctx context.Context, _ ttrpc.StreamServer) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A frameProgram is a list of frames to write; pause stands for reading until silence.
type frameProgram struct {
	what   string
	frames [][]byte
}

var pause []byte

// programs runs each against a server of its own and reports all answers, then whether a
// call still works.
func programs(r *report, all []frameProgram) {
	r.apart(len(all), func(r *report, i int) {
		w := rawWorld()
		defer w.close()
		conn := w.dial()
		defer conn.Close()
		var answers []string
		for _, f := range all[i].frames {
			if f == nil {
				answers = append(answers, readFrames(conn))
			}
			conn.Write(f)
		}
		r.say(all[i].what, strings.Join(append(answers, readFrames(conn)), "; "))
		conn.Write(frame(99, 1, 0, request("echo", "z")))
		r.say(all[i].what+", then a call", awaitFrames(conn))
	})
}

func payload(s string) []byte {
	b, err := proto.Marshal(wrapperspb.String(s))
	if err != nil {
		panic(err)
	}
	return b
}

func rawRequest(req *ttrpc.Request) []byte {
	b, err := proto.Marshal(req)
	if err != nil {
		panic(err)
	}
	return b
}

var rawProbes = []probe{
	{name: "raw/unary", run: func(r *report) {
		programs(r, []frameProgram{
			{"call", [][]byte{frame(1, 1, 0, request("echo", "a"))}},
			{"flags on a call", [][]byte{
				frame(1, 1, 1, request("echo", "a")), frame(3, 1, 2, request("echo", "b")),
				frame(5, 1, 4, request("echo", "c")), frame(7, 1, 0xff, request("echo", "d")),
			}},
			{"an empty reply", [][]byte{frame(1, 1, 0, request("empty", "a"))}},
			{"a nil reply", [][]byte{frame(1, 1, 0, request("nil", "a"))}},
			{"negative timeout", [][]byte{frame(1, 1, 0, rawRequest(&ttrpc.Request{Service: "s", Method: "look", TimeoutNano: -5}))}},
			{"timeout of one", [][]byte{frame(1, 1, 0, rawRequest(&ttrpc.Request{Service: "s", Method: "until", TimeoutNano: 1}))}},
			{"unknown fields", [][]byte{frame(1, 1, 0, append(request("echo", "a"), 0x78, 1))}},
			{"duplicate fields", [][]byte{frame(1, 1, 0, append(request("none", "a"), request("echo", "b")...))}},
		})
	}},
	{name: "raw/extensions", run: func(r *report) {
		w := rawWorld()
		defer w.close()
		conn := w.dial()
		defer conn.Close()
		for _, answer := range []string{"first", "second"} {
			conn.Write(frame(1, 1, 0, nil)) // a fault, which is answered each time
			head, err := readHeader(conn)
			io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[:4])))
			r.say("flags of the "+answer+" answer", fmt.Sprint(head[9], err))
		}
	}},
	{name: "raw/faults", run: func(r *report) {
		programs(r, []frameProgram{
			{"empty request", [][]byte{frame(1, 1, 0, nil)}},
			{"even id", [][]byte{frame(2, 1, 0, request("echo", "a"))}},
			{"id 0", [][]byte{frame(0, 1, 0, request("echo", "a"))}},
			{"id again", [][]byte{frame(3, 1, 0, request("until", "a")), frame(3, 1, 0, request("echo", "b"))}},
			{"id below", [][]byte{frame(3, 1, 0, request("until", "a")), frame(1, 1, 0, request("echo", "b"))}},
			{"request that does not parse", [][]byte{frame(1, 1, 0, []byte{0xff, 0xff})}},
			{"id of a request that does not parse, again", [][]byte{frame(5, 1, 0, []byte{0xff, 0xff}), frame(5, 1, 0, request("echo", "b"))}},
			{"id of an unknown method, again", [][]byte{frame(5, 1, 0, request("none", "")), frame(5, 1, 0, request("echo", "b"))}},
			{"bad UTF-8 in the method", [][]byte{frame(1, 1, 0, []byte("\x0a\x01s\x12\x01\xff"))}},
			{"payload that does not parse", [][]byte{
				frame(1, 1, 0, rawRequest(&ttrpc.Request{Service: "s", Method: "echo", Payload: []byte{0xff}})),
			}},
			{"type 0, 4, 9, 255", [][]byte{frame(1, 0, 0, nil), frame(1, 4, 0, nil), frame(1, 9, 0, []byte("x")), frame(1, 255, 0, nil)}},
			{"a response from the client", [][]byte{frame(1, 2, 0, nil)}},
			{"data for no stream", [][]byte{frame(1, 3, 0, nil)}},
			{"data for an even id", [][]byte{frame(2, 3, 0, nil)}},
			{"other types with an even id", [][]byte{frame(2, 2, 0, nil), frame(4, 9, 0, nil), frame(6, 255, 0, []byte("x"))}},
			{"ten zero bytes", [][]byte{make([]byte, 10)}},
			{"data after the end", [][]byte{frame(1, 1, 0, request("echo", "a")), pause, frame(1, 3, 0, payload("x"))}},
		})
	}},
	{name: "raw/oversized", run: func(r *report) {
		programs(r, []frameProgram{
			{"at the limit", [][]byte{frame(1, 1, 0, padded(4<<20))}},
			{"over the limit", [][]byte{frame(1, 1, 0, padded(4<<20+1))}},
			{"id of a frame over the limit, again", [][]byte{frame(1, 1, 0, padded(4<<20+1)), frame(1, 1, 0, request("echo", "b"))}},
			{"data over the limit on no stream", [][]byte{frame(1, 3, 0, make([]byte, 4<<20+1))}},
			{"data over the limit on a stream", [][]byte{frame(1, 1, 2, request("both", "a")), pause, frame(1, 3, 0, make([]byte, 4<<20+1))}},
			{"unknown type over the limit", [][]byte{frame(1, 7, 0, make([]byte, 4<<20+1))}},
			{"first length byte set", [][]byte{frame(1, 1, 0, make([]byte, 1<<24))}},
		})
	}},
	{name: "raw/data-on-unary", run: func(r *report) {
		programs(r, []frameProgram{
			{"data on a live unary call", [][]byte{frame(1, 1, 0, request("until", "")), frame(1, 3, 0, payload("x"))}},
		})
	}},
	{name: "raw/streams", run: func(r *report) {
		programs(r, []frameProgram{
			{"both", [][]byte{
				frame(1, 1, 2, rawRequest(&ttrpc.Request{Service: "s", Method: "both"})),
				frame(1, 3, 0, payload("a")), frame(1, 3, 0, nil), frame(1, 3, 5, nil),
			}},
			{"both, first in the request", [][]byte{frame(1, 1, 2, request("both", "a")), frame(1, 3, 5, nil)}},
			{"both, end without no-data", [][]byte{frame(1, 1, 2, request("both", "a")), frame(1, 3, 1, nil)}},
			{"both, end with a body", [][]byte{frame(1, 1, 2, request("both", "a")), frame(1, 3, 1, payload("b"))}},
			{"both, no-data with a body", [][]byte{frame(1, 1, 2, request("both", "a")), frame(1, 3, 4, payload("b")), frame(1, 3, 5, nil)}},
			{"both, no-data alone", [][]byte{frame(1, 1, 2, request("both", "a")), frame(1, 3, 4, nil), frame(1, 3, 5, nil)}},
			{"both, request closed", [][]byte{frame(1, 1, 1, request("both", "a"))}},
			{"both, request without flags", [][]byte{frame(1, 1, 0, request("both", "a")), frame(1, 3, 5, nil)}},
			{"both, request with no-data", [][]byte{frame(1, 1, 6, rawRequest(&ttrpc.Request{Service: "s", Method: "both"})), frame(1, 3, 5, nil)}},
			{"data after remote closed", [][]byte{
				frame(1, 1, 2, rawRequest(&ttrpc.Request{Service: "s", Method: "join"})),
				frame(1, 3, 0, payload("a")), frame(1, 3, 5, nil), pause, frame(1, 3, 0, payload("b")),
			}},
			{"the end twice", [][]byte{
				frame(1, 1, 2, rawRequest(&ttrpc.Request{Service: "s", Method: "stays"})), pause, frame(1, 3, 5, nil), frame(1, 3, 5, nil),
			}},
			{"join", [][]byte{
				frame(1, 1, 2, rawRequest(&ttrpc.Request{Service: "s", Method: "join"})),
				frame(1, 3, 0, payload("a")), frame(1, 3, 5, nil),
			}},
			{"list", [][]byte{frame(1, 1, 1, request("list", "a"))}},
			{"list without flags", [][]byte{frame(1, 1, 0, request("list", "a"))}},
			{"a server stream, data sent", [][]byte{frame(1, 1, 1, request("takes", "a")), frame(1, 3, 0, payload("b"))}},
			{"reply from a server stream", [][]byte{frame(1, 1, 1, request("reply", "a"))}},
			{"unparsable message", [][]byte{frame(1, 1, 2, rawRequest(&ttrpc.Request{Service: "s", Method: "both"})), frame(1, 3, 0, []byte{0xff})}},
		})
	}},
	{name: "raw/client-sends", run: clientSends},
	{name: "raw/client-takes", run: clientTakes},
}

// padded is a request whose envelope has exactly n bytes.
func padded(n int) []byte {
	b := request("echo", "")
	fill := n - len(b) - 1 - 4 // an unknown field: tag, four bytes of length, the filling
	b = append(b, 0x7a)
	b = binary.AppendUvarint(b, uint64(fill))
	return append(b, make([]byte, fill)...)
}
