package ttrpc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A call whose caller reads for others ends with its context, also while a slow consumer of another stream has the
// reader wait.
func TestContextOfACallerWhoReadsForSlowStreams(t *testing.T) {
	started := make(chan struct{})
	r := serve(t, withMethod("started", unary(func(ctx context.Context, _ string) (string, error) {
		started <- struct{}{}
		<-ctx.Done()
		return "", nil
	})))
	for range 3 {
		c := r.client(WithClientStreamBuffer(1500, 1<<20))
		for range 200 { // a rhythm, in which callers read for themselves
			wantEcho(t, c)
		}
		ctx, cancel := context.WithCancel(bg)
		result := goCall(ctx, c, "started", "")
		<-started
		streamCtx, endStream := context.WithCancel(bg)
		cs := open(t, streamCtx, c, down, "flood", text(""))
		_, err := recvText(cs)
		check(t, err)
		cancel()
		ticker := time.NewTicker(400 * time.Millisecond)
		for taken := 0; ; taken++ {
			select {
			case err = <-result:
			case <-ticker.C:
				_, err = recvText(cs)
				check(t, err)
				if taken < 4 {
					continue
				}
				t.Fatal("the call waits for another stream's consumer")
			}
			break
		}
		wantExactly(t, err, context.Canceled)
		ticker.Stop()
		endStream()
		check(t, c.Close())
	}
}

// A handler in RecvMsg, who may be reading, ends with its deadline, and gets its messages, also while the client does
// not read answers.
func TestDeadlineOfAHandlerWhoReads(t *testing.T) {
	ended := make(chan error, 1)
	chatting := func(ctx context.Context, ss StreamServer) error {
		err := chat(ctx, ss)
		ended <- err
		return err
	}
	r := serve(t, withStream("chatting", bidi(chatting)), WithServerWriteBacklog(20000))
	for range 3 {
		p := r.raw()
		p.send(requestOf(1, 2, &Request{Service: svc, Method: "chatting", TimeoutNano: int64(500 * time.Millisecond)}))
		for range 200 { // a rhythm, in which the handler reads for itself
			p.send(data(1, 0, "x"))
			p.want(data(1, 0, "x"))
		}
		faults := strings.Repeat(string(rawFrame{id: 2, typ: 3}.bytes()), 4000)
		check(t, p.SetWriteDeadline(time.Now().Add(300*time.Millisecond)))
		for range 20 { // whose answers are more than the socket and the backlog hold
			if _, err := p.Write([]byte(faults)); err != nil {
				break
			}
		}
		err := wait(t, ended, "the handler's end")
		if status.Code(err) != codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		check(t, p.Close())
	}
}
