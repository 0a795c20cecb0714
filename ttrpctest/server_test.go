//go:build go1.25

package ttrpctest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/ttrpctest"
)

func TestServer(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	s := ttrpctest.NewServer(t, register(nil))
	a, b := s.Client(), s.Client()
	wantEcho(t, a)
	wantEcho(t, b)
	check(t, a.Close())
	wantEcho(t, b)
	check(t, s.Shutdown(bg)) // before the end of the test
	if _, err := call(bg, b, "echo", "x"); !errors.Is(err, ttrpc.ErrClosed) {
		t.Error(err)
	}
}

// In a bubble all of it waits in ways that the bubble knows: an hour goes by at once.
func TestServerInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ttrpctest.NewServer(t, register(map[string]ttrpc.Method{
			"sleep": method(func(ctx context.Context, _ string) (string, error) {
				timer := time.NewTimer(time.Hour)
				defer timer.Stop()
				select {
				case <-timer.C:
					return "slept", nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}),
		}))
		c := s.Client()
		began := time.Now()
		if out, err := call(bg, c, "sleep", ""); out != "slept" || err != nil {
			t.Error(out, err)
		}
		if d := time.Since(began); d != time.Hour {
			t.Error("it took", d)
		}
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		_, err := call(ctx, c, "sleep", "")
		wantIs(t, err, context.DeadlineExceeded)
		cs, err := c.NewStream(bg, &ttrpc.StreamDesc{StreamingClient: true, StreamingServer: true}, service, "chat", nil)
		check(t, err)
		for range 3 {
			check(t, cs.SendMsg(wrapperspb.String("x")))
			check(t, cs.RecvMsg(new(wrapperspb.StringValue)))
		}
		// It is left open: the end of the test ends it.
	})
}

// Nothing of the server outlives the test, handlers neither.
func TestServerEndsWithTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var returned atomic.Bool
		var client *ttrpc.Client
		failures := run(func(t *test) {
			ttrpctest.CheckLeaks(t)
			s := ttrpctest.NewServer(t, register(map[string]ttrpc.Method{
				"hold": method(func(ctx context.Context, _ string) (string, error) {
					<-ctx.Done()
					timer := time.NewTimer(time.Second) // clearing up takes its time
					<-timer.C
					returned.Store(true)
					return "", nil
				}),
			}))
			client = s.Client()
			go call(bg, client, "hold", "")
			synctest.Wait()
		})
		if failures != "" || !returned.Load() {
			t.Error("the handler has returned:", returned.Load(), failures)
		}
		if client.Err() == nil {
			t.Error("the client is open")
		}
	})
}

// A handler that does not return fails the test, which says which one it is.
func TestServerNamesHandlersThatStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		failures := run(func(t *test) {
			s := ttrpctest.NewServer(t, register(map[string]ttrpc.Method{
				"stuck": method(func(context.Context, string) (string, error) { <-release; return "", nil }),
			}))
			go call(bg, s.Client(), "stuck", "")
			synctest.Wait()
		})
		if !strings.Contains(failures, `"/test.Service/stuck"`) || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %q", time.Since(began), failures)
		}
		close(release)
	})
}

func TestServerOptions(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	var calls []string
	note := func(which string) ttrpc.UnaryServerInterceptor {
		return func(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
			calls = append(calls, which)
			return m(ctx, u)
		}
	}
	s := ttrpctest.NewServer(t, register(nil),
		ttrpc.WithUnaryServerInterceptor(note("one")), ttrpc.WithChainUnaryServerInterceptor(note("two")))
	c := s.Client(ttrpc.WithUnaryClientInterceptor(func(
		ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response, _ *ttrpc.UnaryClientInfo, invoke ttrpc.Invoker,
	) error {
		calls = append(calls, "client")
		return invoke(ctx, req, resp)
	}))
	wantEcho(t, c)
	if got := strings.Join(calls, " "); got != "client one two" {
		t.Error(got)
	}
}

// Mistakes are Fatal and say what they are.
func TestServerFatal(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	for want, f := range map[string]func(t *test){
		"starting a server": func(t *test) { ttrpctest.NewServer(t, nil, ttrpc.WithServerMaxCalls(0)) },
		"server is closed": func(t *test) {
			s := ttrpctest.NewServer(t, nil)
			s.Close()
			s.Dial()
		},
	} {
		if failures := run(f); !strings.Contains(failures, want) {
			t.Errorf("%q does not say %q", failures, want)
		}
	}
}

// Code under test dials as often as it likes, and the test breaks what it has dialled.
func TestServerDialContextAndConns(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	s := ttrpctest.NewServer(t, register(nil))
	for range 3 {
		conn, err := s.DialContext(bg)
		check(t, err)
		c := ttrpc.NewClient(conn)
		wantEcho(t, c)
		open := s.Conns()
		if len(open) != 1 || open[0].LocalAddr().String() != conn.LocalAddr().String() {
			t.Fatal("open connections:", open)
		}
		open[0].ResetAfter(0)
		check(t, c.UserOnCloseWait(bg))
		wantIs(t, c.Err(), syscall.ECONNRESET)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	conn, err := s.DialContext(ctx)
	if conn != nil || !errors.Is(err, context.Canceled) {
		t.Error(conn, err)
	}
	check(t, s.Close())
	conn, err = s.DialContext(bg)
	if conn != nil || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(conn, err)
	}
}

func TestServerListenUnix(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	var path string
	failures := run(func(t *test) {
		s := ttrpctest.NewServer(t, register(nil))
		path = s.ListenUnix()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("%v", err)
		}
		c := ttrpc.NewClient(conn)
		defer c.Close()
		for _, c := range []*ttrpc.Client{c, s.Client()} {
			if _, err := call(bg, c, "echo", "x"); err != nil {
				t.Fatalf("%v", err)
			}
		}
	})
	if failures != "" {
		t.Error(failures)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the socket is there:", err)
	}
}

// What the server's end has to say to raw bytes is there to be read.
func TestServerBytesByHand(t *testing.T) {
	ttrpctest.CheckLeaks(t)
	conn := ttrpctest.NewServer(t, register(nil)).Dial()
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	check(t, err)
	if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestCheckLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, oldPeer := ttrpctest.Pair()
		before := ttrpc.NewClient(old)
		var left *ttrpc.Client
		leave := func() {
			client, server := ttrpctest.Pair()
			left = ttrpc.NewClient(client)
			synctest.Wait()
			_ = server
		}
		for want, f := range map[string]func(t *test){
			"left 1 goroutines of ttrpc behind:\n\ngoroutine ": func(t *test) { ttrpctest.CheckLeaks(t); leave() },
			"only this": func(t *test) { // noise, after another failure
				ttrpctest.CheckLeaks(t)
				leave()
				t.Errorf("only this")
			},
			"": func(t *test) { // a goroutine that goes on for a while, and ends
				ttrpctest.CheckLeaks(t)
				leave()
				c := left
				time.AfterFunc(5*time.Second, func() { c.Close() })
			},
		} {
			failures := run(f)
			if (failures == "") != (want == "") || !strings.Contains(failures, want) ||
				strings.Contains(want, "goroutine") != strings.Contains(failures, "ttrpc.") {
				t.Errorf("got %q, want %q", failures, want)
			}
			check(t, left.Close())
		}
		check(t, before.Close())
		check(t, oldPeer.Close())
	})
}

// Programs that link this package do not get the flags of package testing with it.
func TestDoesNotImportTesting(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	check(t, err)
	packages := strings.Fields(string(out))
	for _, p := range packages {
		if p == "testing" || p == "flag" || p == "net/http" {
			t.Errorf("%s is linked", p)
		}
	}
	if len(packages) < 10 {
		t.Error("these are no packages:", packages)
	}
}
