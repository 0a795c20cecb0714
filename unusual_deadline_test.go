//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// uxSoon is the user's deadline, from now on. A slow machine may see it pass sooner than a test
// expects: then what the test does until then ends with the connection, which is what it is to end
// with.
func uxSoon() time.Time { return time.Now().Add(200 * time.Millisecond) }

// uxGuard ends what would hang.
func uxGuard(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// uxWantDeadlineEnd wants the end of a connection whose user's read deadline has come.
func uxWantDeadlineEnd(t *testing.T, c *ttrpc.Client, err error) {
	t.Helper()
	if !errors.Is(err, ttrpc.ErrClosed) {
		t.Fatalf("a call ends with %v", err)
	}
	if err := c.UserOnCloseWait(uxGuard(t)); err != nil {
		t.Fatalf("the connection has not ended: %v", err)
	}
	if _, err := uxCall(uxGuard(t), c, "echo", "x"); !errors.Is(err, ttrpc.ErrClosed) {
		t.Errorf("a later call ends with %v", err)
	}
}

// uxSilent is a client whose server answers the first calls, warm of them, which are made here, and
// then none. What it reads then comes out of requests, until the connection ends.
func uxSilent(t *testing.T, warm int) (conn net.Conn, client *ttrpc.Client, requests chan uxFrame) {
	conn, p := uxRawServer(t)
	requests = make(chan uxFrame, 100)
	go func() {
		defer close(requests)
		for n := 0; ; n++ {
			f, err := p.receive()
			if err != nil {
				return
			}
			if n >= warm {
				requests <- f
				continue
			}
			resp := &ttrpc.Response{Payload: uxEncode(uxText("warm"))}
			p.write(uxFrame{id: f.id, typ: uxTypeResponse, data: uxEncode(resp)})
		}
	}()
	client = ttrpc.NewClient(conn)
	t.Cleanup(func() { client.Close() })
	for range warm {
		_, err := uxCall(context.Background(), client, "warm", "")
		uxCheck(t, err)
	}
	return conn, client, requests
}

// uxHang makes a call that is not answered.
func uxHang(ctx context.Context, c *ttrpc.Client) chan error {
	result := make(chan error, 1)
	go func() {
		_, err := uxCall(ctx, c, "hang", "")
		result <- err
	}()
	return result
}

// uxWarmed runs a test without and with quick calls before: those have a lone caller read for
// itself.
func uxWarmed(t *testing.T, test func(t *testing.T, warm int)) {
	t.Run("fresh", func(t *testing.T) { test(t, 0) })
	t.Run("after quick calls", func(t *testing.T) { test(t, 300) })
}

// A read deadline that a user has set on his conn ends the connection, as a read error does,
// whoever reads.
func TestReadDeadlineEndsSoleCall(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		conn, client, requests := uxSilent(t, warm)
		result := uxHang(uxGuard(t), client)
		<-requests
		uxCheck(t, conn.SetReadDeadline(uxSoon()))
		uxWantDeadlineEnd(t, client, <-result)
	})
}

// So does one that was set before the calls that are in flight when it comes.
func TestReadDeadlineSetBeforeCalls(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		conn, client, _ := uxSilent(t, warm)
		uxCheck(t, conn.SetReadDeadline(uxSoon()))
		uxWantDeadlineEnd(t, client, <-uxHang(uxGuard(t), client))
	})
}

// Calls that end meanwhile by their contexts, one after the other, do not wipe it.
func TestReadDeadlineSurvivesCancelledCalls(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		conn, client, requests := uxSilent(t, warm)
		uxCheck(t, conn.SetReadDeadline(uxSoon()))
		for range 5 {
			ctx, cancel := context.WithCancel(uxGuard(t))
			result := uxHang(ctx, client)
			<-requests
			cancel()
			if err := <-result; err != context.Canceled && !errors.Is(err, ttrpc.ErrClosed) {
				t.Fatal(err)
			}
		}
		uxWantDeadlineEnd(t, client, <-uxHang(uxGuard(t), client))
	})
}

// Nor does a second call that comes beside the first, which reads for itself until then.
func TestReadDeadlineSurvivesSecondCall(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		conn, client, requests := uxSilent(t, warm)
		uxCheck(t, conn.SetReadDeadline(uxSoon()))
		first := uxHang(uxGuard(t), client)
		<-requests
		second := uxHang(uxGuard(t), client)
		<-requests
		uxWantDeadlineEnd(t, client, <-first)
		uxWantDeadlineEnd(t, client, <-second)
	})
}

// The consumer of a stream that is asked and answered in turns may read for itself; the deadline
// holds for it.
func TestReadDeadlineEndsStream(t *testing.T) {
	s := uxServe(t, nil)
	conn := s.dial()
	client := ttrpc.NewClient(conn)
	defer client.Close()
	cs, err := client.NewStream(uxGuard(t), uxBoth, uxService, "chat", nil)
	uxCheck(t, err)
	turn := func() error {
		if err := cs.SendMsg(uxText("x")); err != nil {
			return err
		}
		return cs.RecvMsg(new(wrapperspb.StringValue))
	}
	for range 290 {
		uxCheck(t, turn())
	}
	uxCheck(t, conn.SetReadDeadline(uxSoon()))
	for range 10 {
		if turn() != nil {
			break
		}
	}
	if err := cs.RecvMsg(new(wrapperspb.StringValue)); err == nil || err == context.DeadlineExceeded {
		t.Errorf("the stream ends with %v", err)
	}
	uxWantDeadlineEnd(t, client, ttrpc.ErrClosed)
}

// An idle connection ends by it too.
func TestReadDeadlineEndsIdleConnection(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		conn, client, _ := uxSilent(t, warm)
		uxCheck(t, conn.SetReadDeadline(uxSoon()))
		uxWantDeadlineEnd(t, client, ttrpc.ErrClosed)
	})
}

// A deadline that is taken back in time leaves the connection as it was, and its calls.
func TestReadDeadlineTakenBack(t *testing.T) {
	uxWarmed(t, func(t *testing.T, warm int) {
		s := uxServe(t, nil)
		conn := s.dial()
		client := ttrpc.NewClient(conn)
		defer client.Close()
		for range warm + 1 {
			uxCheck(t, conn.SetReadDeadline(time.Now().Add(time.Hour)))
			out, err := uxCall(uxGuard(t), client, "echo", "x")
			if out != "x" || err != nil {
				t.Fatal(out, err)
			}
			uxCheck(t, conn.SetReadDeadline(time.Time{}))
		}
	})
}
