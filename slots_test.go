//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// Whatever becomes of a connection, its slot is free afterwards.
func TestSlotsAreFreed(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, g *gate, conn *pipe.Conn){
		"closed at once": func(t *testing.T, _ *gate, conn *pipe.Conn) { check(t, conn.Close()) },
		"reset":          func(_ *testing.T, _ *gate, conn *pipe.Conn) { conn.Break(pipe.Fault{Kind: pipe.Reset}) },
		"half a frame": func(t *testing.T, _ *gate, conn *pipe.Conn) {
			_, err := conn.Write(request(1, "echo", "x").bytes()[:15])
			check(t, err)
			check(t, conn.CloseWrite())
		},
		"nobody reads the answers": func(t *testing.T, _ *gate, conn *pipe.Conn) {
			check(t, conn.SetWriteDeadline(time.Now().Add(time.Hour)))
			var err error
			for id := uint32(1); err == nil; id += 2 {
				_, err = conn.Write(request(id, "echo", strings.Repeat("x", 1<<18)).bytes())
			}
			check(t, conn.Close())
		},
		"handlers that outlive it": func(t *testing.T, g *gate, conn *pipe.Conn) {
			for _, id := range []uint32{1, 3} {
				_, err := conn.Write(request(id, "gate", "").bytes())
				check(t, err)
				<-g.started
			}
			check(t, conn.Close())
			time.AfterFunc(time.Hour, g.open)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				r := onPipe(t, ttrpc.WithServerMaxConns(1), withMethod("gate", g.unary()))
				use(t, g, pipeTo(t, r))
				wantEcho(t, pipeClient(t, r))
			})
		})
	}
}

// The same for handshakes that come to nothing.
func TestSlotsOfHandshakesAreFreed(t *testing.T) {
	var silent *pipe.Conn
	for name, shake := range map[string]func(net.Conn) (net.Conn, error){
		"refused": func(net.Conn) (net.Conn, error) { return nil, errors.New("refused") },
		"nil":     func(net.Conn) (net.Conn, error) { return nil, nil },
		"gone": func(conn net.Conn) (net.Conn, error) {
			_ = silent.Close()
			_, err := conn.Read(make([]byte, 1))
			return nil, err
		},
		"times out": func(conn net.Conn) (net.Conn, error) {
			_, err := conn.Read(make([]byte, 1))
			return nil, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				r := onPipe(t, ttrpc.WithServerMaxConns(1), ttrpc.WithServerHandshaker(handshakeFunc(
					func(_ context.Context, conn net.Conn) (net.Conn, any, error) {
						if !first {
							return conn, nil, nil
						}
						first = false
						synctest.Wait()
						conn, err := shake(conn)
						return conn, nil, err
					})))
				silent = pipeTo(t, r)
				wantEcho(t, pipeClient(t, r))
			})
		})
	}
}

// Streams that are refused leave nothing in the connection's account of bytes received.
func TestRefusedStreamsHoldNoBuffer(t *testing.T) {
	g := newGate()
	r := serve(t, ttrpc.WithServerMaxCalls(1), ttrpc.WithServerStreamBuffer(1000, 3000), withStream("gate", g.stream()))
	p := r.raw()
	p.send(opening(1, "gate"))
	wait(t, g.started, "the handler")
	for id := uint32(3); id < 23; id += 2 {
		p.send(requestOf(id, 2, &ttrpc.Request{Service: svc, Method: "chat", Payload: make([]byte, 900)}))
		f := p.recv()
		equal(t, codes.Code(f.response(t).Status.GetCode()), codes.ResourceExhausted)
	}
	last := data(1, 1, strings.Repeat("x", 900)) // for which there is room, so that the reader goes on
	p.send(last, request(23, "echo", ""))
	p.wantStatus(23, codes.ResourceExhausted, "ttrpc: more than 1 calls in flight")
	g.open()
	last.flags = 0
	p.want(last)
	p.want(closing(1))
}

// What a client has sent counts until the handler has taken it, also when the client has closed its
// half.
func TestClosedHalvesCountInTheConnectionsBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, ttrpc.WithServerStreamBuffer(10<<10, 20<<10))
		conn := pipeTo(t, r)
		p := newRawPeer(t, conn)
		const n = 20
		go func() {
			for id := uint32(1); id < 2*n; id += 2 {
				_, _ = conn.Write(append(opening(id, "mute").bytes(), data(id, 1, strings.Repeat("x", 9<<10)).bytes()...))
			}
		}()
		for range n - 2 { // so many of the first fail to make room
			if f := p.recv(); f.response(t).Status.GetCode() != int32(codes.ResourceExhausted) {
				t.Fatal(f)
			}
		}
	})
}

// Slots are for connections, not for listeners that wait for one.
func TestMaxConnsWithSeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipe(t, ttrpc.WithServerMaxConns(1))
		synctest.Wait()
		second := pipe.Listen()
		go r.Serve(bg, second)
		synctest.Wait()
		conn, err := second.Dial(pipe.Options{}, pipe.Options{})
		check(t, err)
		c := ttrpc.NewClient(conn)
		wantEcho(t, c)
		check(t, c.Close())
		wantEcho(t, pipeClient(t, r))
	})
}

// Metadata counts by what it takes in memory, not by the two bytes that an entry may have on the
// wire.
func TestMetadataCountsInTheRequestBuffer(t *testing.T) {
	r := serve(t, ttrpc.WithServerRequestBuffer(1<<20))
	p := r.raw()
	many := make([]*ttrpc.KeyValue, 20000)
	for i := range many {
		many[i] = new(ttrpc.KeyValue)
	}
	p.send(requestOf(1, 0, &ttrpc.Request{Service: svc, Method: "hold", Metadata: many}),
		requestOf(3, 0, &ttrpc.Request{Service: svc, Method: "echo", Metadata: many}))
	p.wantStatus(3, codes.ResourceExhausted, "ttrpc: requests in flight exceed 1048576 bytes")
}

// A reply of a million statuses, which together are one, costs its call no more than other replies
// of its size.
func TestManyStatusesInAReply(t *testing.T) {
	c, p := rawServer(t, "unix")
	result := goCall(bg, c, "echo", "")
	f, _ := p.recvRequest()
	b := bytes.Repeat([]byte("\x0a\x02\x08\x05"), 1<<20-10)
	go p.send(rawFrame{id: f.id, typ: 2, data: append(b, "\x0a\x03\x12\x01x"...)})
	wantStatus(t, wait(t, result, "the call"), codes.NotFound, "x")
}
