//go:build go1.25

package ttrpc_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// A program is bytes that are read as operations of a peer, so that the fuzzer's changes of bytes
// are changes of what the peer does.
type program struct {
	rest   []byte
	pauses int
}

// next returns a number below n.
func (p *program) next(n int) int {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return int(b) % n
}

// bytes returns up to n bytes as they stand.
func (p *program) bytes(n int) []byte {
	n = min(n, len(p.rest))
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}

// fuzzMaxFrame and the options are limits of the server that programs run against: so small that
// programs meet them.
const fuzzMaxFrame = 2000

// fuzzStreamBuffer returns the limits of a stream's and a connection's unread messages. A full one
// is waited for, a second or ten. On a real socket nobody can turn time forward, and the fuzzer
// takes a program that runs for ten seconds for one that hangs: no program fills those there.
func fuzzStreamBuffer(fake bool) (stream, conn int) {
	if fake {
		return 600, 1500
	}
	return 4 << 20, 8 << 20
}

func fuzzServer(t *testing.T, l net.Listener) *rig {
	_, fake := l.(*pipe.Listener)
	stream, conn := fuzzStreamBuffer(fake)
	leave := func(_ context.Context, ss ttrpc.StreamServer) error { _, err := recvText(ss); return err }
	return serve(t, l,
		ttrpc.WithServerMaxRecvMsgSize(fuzzMaxFrame), ttrpc.WithServerMaxSendMsgSize(fuzzMaxFrame),
		ttrpc.WithServerStreamBuffer(stream, conn), ttrpc.WithServerWriteBacklog(3000),
		ttrpc.WithServerMaxCalls(8), ttrpc.WithServerRequestBuffer(8000),
		withStream("leave", bidi(leave)))
}

// serverProgram is a client that does what a program says, and keeps in mind what it may expect of
// the server.
type serverProgram struct {
	program
	t       *testing.T
	conn    net.Conn
	out     []byte            // frames not written yet
	used    []uint32          // ids in the order of use
	highest uint32            // id that a Request had; 0 or odd
	echoes  map[uint32]string // calls that have to be answered, and with what
	frames  map[uint32]int    // how many were sent with an id
	muddled map[uint32]bool   // ids with other frames before their Request, or a second Request
	cut     bool              // the last frame is not whole: nothing can follow
	last    uint32            // the id of a call after everything, if there is one
}

func (p *serverProgram) run() {
	for len(p.rest) > 0 && !p.cut {
		p.step()
	}
	if id := p.newID(1); !p.cut && id > p.highest {
		p.last = id
		p.frame(request(id, "echo", "last"))
	}
	p.flush()
}

func (p *serverProgram) step() {
	switch p.next(14) {
	case 0, 1:
		p.echo(p.newID(1))
	case 2, 3:
		p.open(p.newID(1))
	case 4, 5:
		p.frame(rawFrame{id: p.oldID(), typ: 3, flags: byte(p.next(8)), data: p.payload()})
	case 6:
		p.frame(closing(p.oldID()))
	case 7: // a Request that may be anything
		p.frame(rawFrame{id: p.newID(3), typ: 1, flags: byte(p.next(256)), data: p.bytes(p.next(40))})
	case 8: // a frame that may be anything
		p.frame(rawFrame{id: p.oldID() + uint32(p.next(3)), typ: byte(p.next(256)), flags: byte(p.next(256)), data: p.bytes(p.next(40))})
	case 9: // one of about the largest size
		p.frame(rawFrame{id: p.newID(2), typ: byte(1 + p.next(3)), data: make([]byte, fuzzMaxFrame-1+p.next(100))})
	case 10:
		p.flush()
		p.pause()
	case 11:
		p.odd()
	case 12, 13:
		p.frame(p.extension(p.oldID()))
	}
}

// odd is what happens seldom.
func (p *serverProgram) odd() {
	switch p.next(6) {
	case 0:
		p.highest = max(p.highest, 1<<31+1)
	case 1:
		p.highest = max(p.highest, math.MaxUint32-uint32(2*p.next(20)))
	case 2: // a frame that ends too soon
		p.frame(rawFrame{id: p.newID(1), typ: byte(p.next(4)), data: make([]byte, p.next(100))})
		p.out = p.out[:len(p.out)-1-p.next(9)]
		p.cut = true
	case 3: // a length that is never sent
		p.frame(rawFrame{id: p.newID(1), typ: 1, claim: math.MaxUint32 >> p.next(25), data: p.bytes(9)})
		p.cut = true
	default: // many faults
		for range p.next(256) {
			p.frame(rawFrame{id: p.oldID() &^ 1, typ: 3})
		}
	}
}

// pause lets time go by, where that costs none; less than a peer waits for a frame, in all.
func (p *serverProgram) pause() {
	if _, ok := p.conn.(*pipe.Conn); ok && p.pauses < 15 {
		p.pauses++
		elapse(time.Duration(p.next(30)) * 100 * time.Millisecond)
	}
}

// newID is the next id but so many, or one that has been used when there is no other left.
func (p *serverProgram) newID(upTo int) uint32 {
	id := p.highest + 1 + p.highest%2 + uint32(2*p.next(upTo))
	if id < p.highest {
		return p.highest
	}
	return id
}

// oldID is the id of a frame sent before, one of the last.
func (p *serverProgram) oldID() uint32 {
	if len(p.used) == 0 {
		return uint32(p.next(4))
	}
	return p.used[max(0, len(p.used)-1-p.next(5))]
}

func (p *program) payload() []byte {
	if p.next(8) == 0 {
		return p.bytes(p.next(20))
	}
	return encode(text(strings.Repeat("d", p.next(256)*p.next(6))))
}

// echo is a call that has to succeed, whatever is with it.
func (p *serverProgram) echo(id uint32) {
	in := strings.Repeat("e", p.next(256))
	req := &ttrpc.Request{Service: svc, Method: "echo", Payload: encode(text(in))}
	for range p.next(3) {
		req.Metadata = append(req.Metadata, &ttrpc.KeyValue{Key: "K", Value: "v"})
	}
	if p.next(4) == 0 {
		req.TimeoutNano = int64(p.next(256)) << p.next(64)
	}
	if id > p.highest {
		p.echoes[id] = in
	}
	p.frame(requestOf(id, byte(p.next(8)), req))
}

func (p *serverProgram) open(id uint32) {
	methods := []string{"chat", "mute", "list", "join", "hold", "fail", "empty", "leave", "nothing"}
	req := &ttrpc.Request{Service: svc, Method: methods[p.next(len(methods))]}
	if req.Method == "list" {
		req.Payload = encode(text(fmt.Sprint(p.next(60))))
	} else if p.next(3) == 0 {
		req.Payload = p.payload()
	}
	if p.next(3) == 0 {
		req.TimeoutNano = int64(time.Duration(p.next(20)-3) * time.Millisecond)
	}
	p.frame(requestOf(id, byte(p.next(8)), req))
}

func (p *serverProgram) frame(f rawFrame) {
	if f.typ == 0x41 {
		delete(p.echoes, f.id) // it may be answered, and need not
	}
	p.out = append(p.out, f.bytes()...)
	p.used = append(p.used, f.id)
	p.frames[f.id]++
	isRequest := f.typ == 1 && len(f.data) <= fuzzMaxFrame && f.id%2 == 1
	if isNew := f.id > p.highest; isNew != isRequest {
		p.muddled[f.id] = true
	} else if isNew {
		p.highest = f.id
	}
}

// flush writes what there is, in two pieces. A server that has seen the first piece of a frame that
// nobody sends has closed the connection, perhaps.
func (p *serverProgram) flush() {
	n := len(p.out) * p.next(256) / 256
	for _, b := range [][]byte{p.out[:n], p.out[n:]} {
		if len(b) > 0 {
			if _, err := p.conn.Write(b); err != nil && !p.cut {
				p.t.Error(err)
			}
		}
	}
	p.out = p.out[:0]
}

// answers are the frames that the server has sent, by id.
type answers struct {
	mu      sync.Mutex // guards byID, err
	byID    map[uint32][]rawFrame
	err     error // the end
	changed chan struct{}
}

func collect(t *testing.T, conn net.Conn) *answers {
	a := &answers{byID: map[uint32][]rawFrame{}, changed: make(chan struct{}, 1)}
	peer := newRawPeer(t, conn)
	go func() {
		for a.add(peer.receive()) {
		}
	}()
	return a
}

func (a *answers) add(f rawFrame, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.byID[f.id] = append(a.byID[f.id], f)
	}
	a.err = err
	select {
	case a.changed <- struct{}{}:
	default:
	}
	return err == nil
}

// await waits for the calls that have to be answered.
func (a *answers) await(p *serverProgram) {
	for missing := a.missing(p); len(missing) > 0; missing = a.missing(p) {
		if a.err != nil {
			p.t.Fatalf("%v, and no answer to %v", a.err, missing)
		}
		a.mu.Unlock()
		<-a.changed
	}
	a.mu.Unlock()
}

// missing leaves the lock held.
func (a *answers) missing(p *serverProgram) (ids []uint32) {
	a.mu.Lock()
	for id := range p.echoes {
		if len(a.byID[id]) == 0 {
			ids = append(ids, id)
		}
	}
	if p.last != 0 && len(a.byID[p.last]) == 0 {
		ids = append(ids, p.last)
	}
	return ids
}

// check holds the answers to the rules: at the most one for each frame, no message behind the last
// one, and the right one to a call that no other frame was sent for.
func (a *answers) check(p *serverProgram) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, frames := range a.byID {
		finals := 0
		for _, f := range frames {
			if finals > 0 && f.typ == 3 && !p.muddled[id] {
				p.t.Fatalf("message behind the end: %v", frames)
			}
			if f.typ == 2 || f.flags&1 != 0 {
				finals++
			}
		}
		if finals > p.frames[id] {
			p.t.Fatalf("%d answers to %d frames of id %d: %v", finals, p.frames[id], id, frames)
		}
		want, ok := p.echoes[id]
		if ok && p.frames[id] == 1 && frames[0].String() != answer(id, want).String() && !isExhausted(frames[0]) {
			p.t.Fatalf("answer %v, want %q", frames[0], want)
		}
	}
}

// isExhausted reports whether a call was refused at a limit of the server's.
func isExhausted(f rawFrame) bool {
	resp := new(ttrpc.Response)
	return f.typ == 2 && proto.Unmarshal(f.data, resp) == nil && resp.Status.GetCode() == int32(codes.ResourceExhausted)
}

// FuzzServer runs programs of frames against a server, and checks afterwards that it has answered
// on the same connection, each call once, that it answers on another, and that the end of the
// connection leaves nothing of it.
func FuzzServer(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomProgram(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 3000 {
			fuzzServerOnce(t, b)
		}
	})
}

func fuzzServerOnce(t *testing.T, b []byte) {
	p := &serverProgram{program: program{rest: b}, t: t, echoes: map[uint32]string{}, frames: map[uint32]int{}, muddled: map[uint32]bool{}}
	if p.next(4) == 0 {
		r := fuzzServer(t, listen(t, "unix"))
		p.conn = r.conn()
		runOnServer(p, r, false)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		p.t = t
		l := pipe.Listen()
		r := fuzzServer(t, l)
		p.conn = dialOddly(t, l, &p.program)
		runOnServer(p, r, p.next(4) == 0)
	})
}

// dialOddly connects by a pipe that splits what is written, and holds little of what comes back.
func dialOddly(t *testing.T, l *pipe.Listener, p *program) *pipe.Conn {
	there, back := pipe.Options{}, pipe.Options{Capacity: 1 + p.next(256)*100}
	if n := p.next(256); n > 0 {
		there.Chunk = func() int { return n }
	}
	conn, err := l.Dial(there, back)
	check(t, err)
	return conn
}

func runOnServer(p *serverProgram, r *rig, readLate bool) {
	t := p.t
	written := make(chan struct{})
	go func() {
		defer close(written)
		p.run()
	}()
	if readLate {
		synctest.Wait() // until everybody waits for the client to read, or all is done
	}
	got := collect(t, p.conn)
	<-written
	got.await(p)
	got.check(p)
	leftovers := ttrpc.ServerLeftovers(r.Server)
	other := r.l
	if l, ok := other.(*pipe.Listener); ok {
		conn, err := l.Dial(pipe.Options{}, pipe.Options{})
		check(t, err)
		c := ttrpc.NewClient(conn)
		wantEcho(t, c)
		check(t, c.Close())
	} else {
		wantEcho(t, r.client())
	}
	check(t, p.conn.Close())
	check(t, r.Close())
	check(t, r.Shutdown(bg))
	eventually(t, "handlers to return", func() bool { return leftovers() == "" })
}
