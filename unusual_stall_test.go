//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A bulk transfer is 256 chunks of 256 KiB, eight times of what a stream buffers.
const uxChunks = 256

var uxChunk = uxText(strings.Repeat("c", 256<<10))

// uxPause lets the bubble's time pass.
func uxPause(d time.Duration) { <-time.NewTimer(d).C }

// uxTake receives all chunks, and pauses once, after the first, until pause returns. It tells the
// number of chunks and how the stream ended.
func uxTake(s interface{ RecvMsg(any) error }, pause func()) (n int, err error) {
	for {
		in := new(wrapperspb.StringValue)
		if err := s.RecvMsg(in); err != nil {
			return n, err
		}
		if in.Value != uxChunk.Value {
			return n, fmt.Errorf("chunk %d is another", n)
		}
		if n++; n == 1 {
			pause()
		}
	}
}

// uxGive sends all chunks.
func uxGive(s interface{ SendMsg(any) error }) error {
	for range uxChunks {
		if err := s.SendMsg(uxChunk); err != nil {
			return err
		}
	}
	return nil
}

// uxTaken is what uxTake has returned.
type uxTaken struct {
	n   int
	err error
}

// uxUpload is a server and a client in a bubble: the stream "take" pauses as pause does and says
// what it took; "hold" is a method that waits for release, or its context.
type uxUpload struct {
	t       *testing.T
	client  *ttrpc.Client
	taken   chan uxTaken
	held    chan struct{}
	release chan struct{}
}

func newUxUpload(t *testing.T, pause func(), opts ...ttrpc.ServerOpt) *uxUpload {
	u := &uxUpload{t: t, taken: make(chan uxTaken, 1), held: make(chan struct{}, 1), release: make(chan struct{})}
	server, err := ttrpc.NewServer(opts...)
	uxCheck(t, err)
	server.RegisterService(uxService, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"echo": uxUnary(uxEcho), "hold": uxUnary(u.hold)},
		Streams: map[string]ttrpc.Stream{"take": {StreamingClient: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			n, err := uxTake(ss, pause)
			u.taken <- uxTaken{n, err}
			return uxText(fmt.Sprint(n)), nil
		}}},
	})
	l := newUxPipes()
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(context.Background(), l) }()
	u.client = ttrpc.NewClient(l.dial())
	t.Cleanup(func() { u.client.Close(); server.Close(); <-served })
	return u
}

func (u *uxUpload) hold(ctx context.Context, in string) (string, error) {
	u.held <- struct{}{}
	select {
	case <-u.release:
	case <-ctx.Done():
	}
	return in, nil
}

// beside has a call in flight that is not answered until it is released.
func (u *uxUpload) beside() {
	go uxCall(context.Background(), u.client, "hold", "")
	<-u.held
}

// upload sends all chunks and returns what the server answers.
func (u *uxUpload) upload() (string, error) {
	cs, err := u.client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingClient: true}, uxService, "take", nil)
	if err != nil {
		return "", err
	}
	if err := uxGive(cs); err == nil {
		uxCheck(u.t, cs.CloseSend())
	} else if !errors.Is(err, ttrpc.ErrStreamClosed) {
		return "", err
	}
	out := new(wrapperspb.StringValue)
	err = cs.RecvMsg(out)
	return out.Value, err
}

func (u *uxUpload) wantAll() {
	u.t.Helper()
	out, err := u.upload()
	if out != fmt.Sprint(uxChunks) || err != nil {
		u.t.Errorf("answer %q, %v", out, err)
	}
	if got := <-u.taken; got.n != uxChunks || !errors.Is(got.err, io.EOF) {
		u.t.Errorf("the handler took %d of %d chunks, then: %v", got.n, uxChunks, got.err)
	}
}

// wantFull wants a stream that failed alone.
func (u *uxUpload) wantFull() {
	u.t.Helper()
	if _, err := u.upload(); status.Code(err) != codes.ResourceExhausted {
		u.t.Errorf("answer: %v", err)
	}
	if got := <-u.taken; got.err == nil || got.err.Error() != "ttrpc: stream buffer full" {
		u.t.Errorf("the handler took %d chunks, then: %v", got.n, got.err)
	}
	if out, err := uxCall(context.Background(), u.client, "echo", "usable"); out != "usable" || err != nil {
		u.t.Error(out, err)
	}
}

// uxPauses are those that a stream survives which is the only call in flight: less than ten
// seconds.
var uxPauses = []time.Duration{1500 * time.Millisecond, 5 * time.Second, 9500 * time.Millisecond}

// A pause harms nobody where the stream is the connection's only call, so it costs nothing.
func TestP51LoneUploadSurvivesPause(t *testing.T) {
	for _, pause := range uxPauses {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newUxUpload(t, func() { uxPause(pause) }).wantAll()
			})
		})
	}
}

// Ten seconds are the end.
func TestP51LoneUploadFailsAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newUxUpload(t, func() { uxPause(11 * time.Second) }).wantFull()
	})
}

// Beside another call the second stays: that waits for the reader.
func TestP51UploadBesideACallFailsAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUxUpload(t, func() { uxPause(1500 * time.Millisecond) })
		u.beside()
		u.wantFull()
		close(u.release)
	})
}

// Calls that have ended do not count, whether before the pause or in it.
func TestP51UploadIsLoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u *uxUpload
		u = newUxUpload(t, func() {
			uxPause(500 * time.Millisecond)
			close(u.release)
			uxPause(5 * time.Second)
		})
		_, err := uxCall(context.Background(), u.client, "echo", "before")
		uxCheck(t, err)
		u.beside()
		u.wantAll()
	})
}

// uxDownload opens a stream of which a server sends all chunks, beside a call that waits if beside
// is set, and takes them.
func uxDownload(t *testing.T, beside bool, pause func(*ttrpc.Client), opts ...ttrpc.ClientOpts) (int, error) {
	server, err := ttrpc.NewServer(ttrpc.WithServerExtensions(false)) // with them nobody stalls
	uxCheck(t, err)
	held := make(chan struct{}, 1)
	server.RegisterService(uxService, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{"echo": uxUnary(uxEcho), "hold": uxUnary(func(ctx context.Context, _ string) (string, error) {
			held <- struct{}{}
			<-ctx.Done()
			return "", nil
		})},
		Streams: map[string]ttrpc.Stream{"give": {StreamingServer: true, Handler: func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			return nil, errors.Join(ss.RecvMsg(new(wrapperspb.StringValue)), uxGive(ss))
		}}},
	})
	l := newUxPipes()
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(context.Background(), l) }()
	client := ttrpc.NewClient(l.dial(), opts...)
	t.Cleanup(func() { client.Close(); server.Close(); <-served })
	if beside {
		go uxCall(context.Background(), client, "hold", "")
		<-held
	}
	cs, err := client.NewStream(context.Background(), &ttrpc.StreamDesc{StreamingServer: true}, uxService, "give", uxText(""))
	uxCheck(t, err)
	return uxTake(cs, func() { pause(client) })
}

func uxWantTaken(t *testing.T, n int, err error) {
	t.Helper()
	if n != uxChunks || !errors.Is(err, io.EOF) {
		t.Errorf("took %d of %d chunks, then: %v", n, uxChunks, err)
	}
}

func uxWantFull(t *testing.T, n int, err error) {
	t.Helper()
	if n == uxChunks || err == nil || err.Error() != "ttrpc: stream buffer full" {
		t.Errorf("took %d of %d chunks, then: %v", n, uxChunks, err)
	}
}

func TestP51LoneDownloadSurvivesPause(t *testing.T) {
	for _, pause := range uxPauses {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, err := uxDownload(t, false, func(*ttrpc.Client) { uxPause(pause) })
				uxWantTaken(t, n, err)
			})
		})
	}
}

func TestP51DownloadsThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		beside bool
		pause  time.Duration
	}{
		"alone":         {false, 11 * time.Second},
		"beside a call": {true, 1500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, err := uxDownload(t, test.beside, func(*ttrpc.Client) { uxPause(test.pause) })
				uxWantFull(t, n, err)
			})
		})
	}
}

// Who calls while a stream has been left lying does not wait for ten seconds: from then on the
// stream is not alone, and a second is over.
func TestP51CallEndsALoneStreamsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := uxDownload(t, false, func(c *ttrpc.Client) {
			uxPause(3 * time.Second)
			start := time.Now() // the bubble's
			if out, err := uxCall(context.Background(), c, "echo", "in between"); out != "in between" || err != nil {
				t.Error(out, err)
			}
			if waited := time.Since(start); waited > 1100*time.Millisecond {
				t.Errorf("the call has waited %v of the bubble's time", waited)
			}
		})
		uxWantFull(t, n, err)
	})
}
