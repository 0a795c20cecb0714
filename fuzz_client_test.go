//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// clientProgram makes calls, and is the server that they go to, as a program says.
type clientProgram struct {
	program
	t       *testing.T
	c       *ttrpc.Client
	peer    net.Conn // the server's end
	fake    bool     // time costs nothing
	calls   sync.WaitGroup
	cancels []context.CancelFunc
	opened  chan opened         // Requests as they come
	ended   chan struct{}       // closed with the program
	out     []byte              // frames not written yet
	ids     []uint32            // of calls made
	made    int                 // calls
	texts   map[uint32][]string // answers sent for an id
	mixed   map[uint32]bool     // ids for which other frames have been sent
	gone    bool                // the server has said GoAway
	byText  map[string]uint32   // the ids of calls, by what they say

	mu      sync.Mutex // guards results
	results []outcome
}

type opened struct {
	id   uint32
	text string
}

// outcome is how a unary call ended.
type outcome struct {
	in, out string
	err     error
	patient bool // its context had no end
}

func (p *clientProgram) run() {
	for len(p.rest) > 0 {
		p.step()
	}
	p.flush()
}

func (p *clientProgram) step() {
	switch p.next(17) {
	case 0, 1, 2:
		p.call(p.next(4))
	case 3, 4:
		p.stream(p.next(8))
	case 5, 6:
		p.answer(p.oldID())
	case 7:
		st := &spb.Status{Code: int32(p.next(20)), Message: fmt.Sprintf("%q", p.bytes(p.next(10)))}
		p.frame(rawFrame{id: p.oldID(), typ: 2, data: encode(&ttrpc.Response{Status: st, Payload: p.bytes(p.next(10))})})
	case 8, 9:
		p.frame(rawFrame{id: p.oldID(), typ: 3, flags: byte(p.next(8)), data: p.payload()})
	case 10:
		p.frame(rawFrame{id: p.oldID() + uint32(p.next(3)), typ: byte(p.next(256)), flags: byte(p.next(256)), data: p.bytes(p.next(40))})
	case 11:
		p.flush()
		if p.fake && p.pauses < 15 {
			p.pauses++
			elapse(time.Duration(p.next(30)) * 100 * time.Millisecond)
		}
	case 12:
		p.frame(rawFrame{id: p.oldID(), typ: byte(1 + p.next(3)), data: make([]byte, fuzzMaxFrame-1+p.next(100))})
	case 13:
		if n := len(p.cancels); n > 0 {
			p.cancels[max(0, n-1-p.next(4))]()
		}
	case 14, 15:
		p.frame(p.extension(p.oldID()))
	case 16: // from now on the server is known
		p.frame(rawFrame{id: p.oldID(), typ: 3, flags: 0x80, data: p.payload()})
	}
}

// oldID is the id of a call made before, one of the last.
func (p *clientProgram) oldID() uint32 {
	if len(p.ids) == 0 {
		return uint32(p.next(4))
	}
	return p.ids[max(0, len(p.ids)-1-p.next(5))]
}

func (p *clientProgram) answer(id uint32) {
	out := fmt.Sprintf("%d for %d %s", len(p.texts[id]), id, strings.Repeat(".", p.next(256)))
	p.texts[id] = append(p.texts[id], out)
	p.mixed[id] = p.mixed[id] || !slices.Contains(p.ids, id) // an answer before the call is none
	p.out = append(p.out, answer(id, out).bytes()...)
}

func (p *clientProgram) frame(f rawFrame) {
	p.gone = p.gone || f.typ == 0x43
	p.out = append(p.out, f.bytes()...)
	p.mixed[f.id] = true
}

// flush writes what there is, in two pieces.
func (p *clientProgram) flush() {
	n := len(p.out) * p.next(256) / 256
	for _, b := range [][]byte{p.out[:n], p.out[n:]} {
		if len(b) > 0 {
			if _, err := p.peer.Write(b); err != nil {
				p.t.Error(err)
			}
		}
	}
	p.out = p.out[:0]
}

// context is one of those that calls are made with.
func (p *clientProgram) context(kind int) context.Context {
	ctx, cancel := context.WithCancel(bg)
	switch kind {
	case 0:
		ctx, cancel = context.WithTimeout(bg, time.Duration(1+p.next(20))*time.Millisecond)
	case 2, 3:
		cancel()
		return bg
	}
	p.cancels = append(p.cancels, cancel)
	return ctx
}

// call makes a unary call, and returns once it is under way.
func (p *clientProgram) call(kind int) {
	ctx := p.context(kind)
	p.begin(func(in string) {
		res := outcome{in: in, patient: kind >= 2}
		res.out, res.err = call(ctx, p.c, "echo", in)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.results = append(p.results, res)
	})
}

// stream opens a stream and has it used to its end, which comes with the connection's at the
// latest.
func (p *clientProgram) stream(kind int) {
	ctx, desc := p.context(kind%4), []*ttrpc.StreamDesc{both, up, down, both}[p.next(4)]
	sends, lazy := p.next(5), p.fake && kind >= 4
	p.begin(func(in string) {
		cs, err := p.c.NewStream(ctx, desc, svc, "stream", text(in))
		if err != nil {
			return
		}
		if desc.StreamingClient {
			for range sends {
				_ = cs.SendMsg(text("message"))
			}
			_ = cs.CloseSend()
		}
		if lazy {
			<-p.ended
		}
		for err == nil {
			_, err = recvText(cs)
		}
	})
}

// begin starts a call and waits for its Request; some contexts end before that.
func (p *clientProgram) begin(f func(in string)) {
	p.made++
	in, done := fmt.Sprint(p.made), make(chan struct{})
	p.calls.Go(func() {
		defer close(done)
		f(in)
	})
	for {
		select {
		case o := <-p.opened:
			p.ids = append(p.ids, o.id)
			p.byText[o.text] = o.id
			if o.text == in {
				return
			}
		case <-done:
			return
		}
	}
}

// serve reads what the client sends, to the end.
func (p *clientProgram) serve() {
	peer := newRawPeer(p.t, p.peer)
	for {
		f, err := peer.receive()
		if err != nil {
			close(p.opened)
			return
		}
		req, in := new(ttrpc.Request), new(message)
		if f.typ == 1 && proto.Unmarshal(f.data, req) == nil && proto.Unmarshal(req.Payload, in) == nil {
			p.opened <- opened{f.id, in.Value}
		}
	}
}

// check holds the results to what was sent: a call for which answers alone came has the first of
// them.
func (p *clientProgram) check() {
	for o := range p.opened { // those that nobody has waited for
		p.byText[o.text] = o.id
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, res := range p.results {
		id := p.byText[res.in]
		texts := p.texts[id]
		switch {
		case p.mixed[id], p.gone && errors.Is(res.err, ttrpc.ErrClosed):
		case res.err == nil && (len(texts) == 0 || res.out != texts[0]):
			p.t.Fatalf("call %s, id %d: %q, not one of %q", res.in, id, res.out, texts)
		case res.err != nil && res.patient && len(texts) > 0:
			p.t.Fatalf("call %s, id %d: %v (%v), though %q was sent", res.in, id, res.err, p.c.Err(), texts)
		}
		if _, isStatus := status.FromError(res.err); !isStatus && !errors.Is(res.err, ttrpc.ErrClosed) &&
			!errors.Is(res.err, ttrpc.ErrProtocol) && !errors.Is(res.err, context.Canceled) && !errors.Is(res.err, context.DeadlineExceeded) &&
			!p.mixed[id] {
			p.t.Fatalf("call %s, id %d: %v", res.in, id, res.err)
		}
	}
}

// FuzzClient runs programs of frames against a client that makes calls, and checks afterwards that
// another call gets its answer, that each has got its own, and that all end with the connection.
func FuzzClient(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomProgram(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 3000 {
			fuzzClientOnce(t, b)
		}
	})
}

func fuzzClientOnce(t *testing.T, b []byte) {
	p := &clientProgram{
		program: program{rest: b},
		texts:   map[uint32][]string{}, mixed: map[uint32]bool{}, byText: map[string]uint32{},
	}
	if p.next(4) == 0 {
		near, far := pair(t, "unix")
		p.runOn(t, near, far)
		return
	}
	p.fake = true
	synctest.Test(t, func(t *testing.T) {
		there, back := pipe.Options{}, pipe.Options{Capacity: 1 + p.next(256)*100}
		if n := p.next(256); n > 0 {
			back.Chunk = func() int { return n }
		}
		near, far := pipe.New(there, back)
		p.runOn(t, near, far)
	})
}

func (p *clientProgram) runOn(t *testing.T, near, far net.Conn) {
	closed := make(chan struct{})
	p.t, p.peer = t, far
	stream, conn := fuzzStreamBuffer(p.fake)
	p.opened, p.ended = make(chan opened, 10000), make(chan struct{})
	p.c = ttrpc.NewClient(near, ttrpc.WithOnClose(func() { close(closed) }), ttrpc.WithClientMaxRecvMsgSize(fuzzMaxFrame),
		ttrpc.WithClientStreamBuffer(stream, conn), ttrpc.WithClientWriteBacklog(300))
	go p.serve()
	p.run()
	p.lastCall()
	close(p.ended)
	check(t, far.Close())
	wait(t, closed, "the on-close callback")
	p.calls.Wait()
	p.check()
	if _, err := call(bg, p.c, "echo", ""); !errors.Is(err, ttrpc.ErrClosed) {
		t.Fatal("after the end:", err)
	}
	if left := ttrpc.ClientLeftovers(p.c); left != "" {
		t.Fatal("left behind:", left)
	}
	for _, cancel := range p.cancels {
		cancel()
	}
}

// lastCall makes a call and answers it.
func (p *clientProgram) lastCall() {
	result := make(chan error, 1)
	p.begin(func(in string) {
		out, err := call(bg, p.c, "echo", in)
		if err == nil && out != in {
			err = errors.New(out)
		}
		result <- err
	})
	in := fmt.Sprint(p.made)
	id := p.byText[in]
	if id == 0 || p.mixed[id] { // a frame for it was sent before it, and may have ended it
		return
	}
	if _, err := p.peer.Write(answer(id, in).bytes()); err != nil {
		p.t.Error(err)
	}
	if err := wait(p.t, result, "the last call"); err != nil && !(p.gone && errors.Is(err, ttrpc.ErrClosed)) {
		p.t.Fatal("the last call:", err)
	}
}
