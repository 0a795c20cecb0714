//go:build go1.25

package peer

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

var (
	bg       = context.Background()
	errEnded = errors.New("the connection has ended")
)

// sent is a frame that was posted.
type sent struct {
	typ  wire.Type
	id   uint32
	data string
}

// rig is a Liveness, and all that it sees of its connection.
type rig struct {
	Liveness
	known Extensions

	rigMu     sync.Mutex // guards all below
	posted    []sent
	refuses   error // of Post
	lastRead  time.Duration
	unwritten int
	progress  uint64
	waits     bool
	silent    []time.Duration // for how long the peer was said to be
	answers   bool            // the peer answers Pings at once
}

func newRig(s State) *rig {
	r := new(rig)
	r.known.Init(s)
	r.Init(r, &r.known)
	return r
}

func (r *rig) Post(f *wire.Frame) (transport.Unwritten, error) {
	r.rigMu.Lock()
	defer r.rigMu.Unlock()
	defer f.Free()
	if r.refuses != nil {
		return transport.Unwritten{}, r.refuses
	}
	h := wire.ParseHeader(f.Bytes())
	r.posted = append(r.posted, sent{h.Type, h.Stream, string(f.Data())})
	if r.answers && h.Type == wire.TypePing {
		r.HandlePong(bytes.Clone(f.Data()))
	}
	return transport.Unwritten{}, nil
}

func (r *rig) LastRead() time.Duration { return get(r, &r.lastRead) }
func (r *rig) Unwritten() int          { return get(r, &r.unwritten) }
func (r *rig) WriteProgress() uint64   { return get(r, &r.progress) }
func (r *rig) Waits() bool             { return get(r, &r.waits) }

func (r *rig) PeerSilent(within time.Duration) {
	r.change(func(r *rig) { r.silent = append(r.silent, within) })
	r.End(errEnded)
}

// get reads a field of a rig.
func get[T any](r *rig, field *T) T {
	r.rigMu.Lock()
	defer r.rigMu.Unlock()
	return *field
}

// change has something change.
func (r *rig) change(f func(r *rig)) {
	r.rigMu.Lock()
	defer r.rigMu.Unlock()
	f(r)
}

// ping has somebody ask, who waits.
func (r *rig) ping(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() { result <- r.Ping(ctx) }()
	synctest.Wait()
	return result
}

// wantPending holds that somebody who has asked still waits.
func wantPending(t *testing.T, result <-chan error) {
	t.Helper()
	synctest.Wait()
	if len(result) > 0 {
		t.Fatal("he waits no more:", <-result)
	}
}

// number is the data of a Ping.
func number(n byte) string { return string([]byte{0, 0, 0, 0, 0, 0, 0, n}) }

// Pings are told apart by their numbers, and nothing is left of one that is over.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Known)
		ctx, cancel := context.WithCancel(bg)
		first, second, third := r.ping(bg), r.ping(ctx), r.ping(bg)
		testkit.Equal(t, len(get(r, &r.posted)), 3)
		for i, f := range get(r, &r.posted) {
			testkit.Equal(t, f, sent{wire.TypePing, 1, number(byte(i + 1))})
		}
		r.HandlePong([]byte("another"))
		r.HandlePong([]byte(number(9)))
		r.HandlePong([]byte(number(1) + "and more"))
		r.HandleRefused()
		wantPending(t, first)
		r.HandlePong([]byte(number(1)))
		testkit.Equal(t, <-first, nil)
		cancel()
		testkit.Equal(t, <-second, context.Canceled)
		r.mu.Lock()
		testkit.Equal(t, len(r.pings.waiting), 1)
		r.mu.Unlock()
		r.HandlePong([]byte(number(2)))
		wantPending(t, third)
		r.End(errEnded)
		testkit.Equal(t, <-third, errEnded)
		testkit.Equal(t, len(r.pings.waiting), 0)
		testkit.Equal(t, r.Ping(bg), errEnded)
		testkit.Equal(t, len(get(r, &r.posted)), 3)
	})
}

// A server that is not known is sent one probe, whoever asks meanwhile, and further ones later.
func TestPingOfAPeerThatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, state := range []State{Off, Unknown} {
			r := newRig(state)
			first, second := r.ping(bg), r.ping(bg)
			testkit.Equal(t, len(get(r, &r.posted)), 1)
			testkit.Equal(t, get(r, &r.posted)[0], sent{wire.TypeRequest, 0, ""})
			wantPending(t, first)
			r.HandleRefused()
			testkit.Equal(t, <-first, nil)
			testkit.Equal(t, <-second, nil)
			r.HandleRefused() // another refusal is nobody's
			ctx, cancel := context.WithCancel(bg)
			third, fourth := r.ping(ctx), r.ping(bg)
			testkit.Equal(t, len(get(r, &r.posted)), 2)
			cancel()
			testkit.Equal(t, <-third, context.Canceled)
			r.End(errEnded)
			testkit.Equal(t, <-fourth, errEnded)
			testkit.Equal(t, r.Ping(bg), errEnded)
			testkit.Equal(t, len(get(r, &r.posted)), 2)
		}
	})
}

// Where writing has failed the end of the connection, which is about to come, ends the wait.
func TestPingThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, state := range []State{Unknown, Known} {
			r := newRig(state)
			r.refuses = errors.New("writing has failed")
			result := r.ping(bg)
			wantPending(t, result)
			r.End(errEnded)
			testkit.Equal(t, <-result, errEnded)
		}
	})
}

// A Ping's data comes back in its Pong, if it is short.
func TestHandlePing(t *testing.T) {
	r := newRig(Known)
	long := make([]byte, wire.MaxPing+1)
	r.HandlePing(7, []byte("abc"))
	r.HandlePing(9, long[1:])
	r.HandlePing(11, long)
	for i, want := range []sent{{wire.TypePong, 7, "abc"}, {wire.TypePong, 9, string(long[1:])}, {wire.TypePong, 11, ""}} {
		testkit.Equal(t, r.posted[i], want)
	}
	r.refuses = errEnded
	r.HandlePing(13, nil)
	testkit.Equal(t, len(get(r, &r.posted)), 3)
}
