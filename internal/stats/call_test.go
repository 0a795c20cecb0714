//go:build go1.25

package stats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, "internal/stats.") }

// lines is a Handler that writes down what it is told.
type lines struct {
	got  string
	ends atomic.Int32
}

type tagKey struct{}

func (l *lines) BeginConn(ctx context.Context, _ net.Conn, _ bool) (context.Context, func(error)) {
	return ctx, nil
}

func (l *lines) BeginCall(ctx context.Context, info Info, request any) (*Call, context.Context) {
	return Begin(ctx, l, info, request)
}

func (l *lines) TagCall(ctx context.Context, info *Info) context.Context {
	return context.WithValue(ctx, tagKey{}, info.FullMethod)
}

func (l *lines) CallBegun(c *Call) { l.got += fmt.Sprintf("begin %v;", c.Context().Value(tagKey{})) }

func (l *lines) Received(_ *Call, m any, size, wireSize int) {
	l.got += fmt.Sprintf("in %v %d %d;", m, size, wireSize)
}

func (l *lines) Sent(_ *Call, m any, size, wireSize int) {
	l.got += fmt.Sprintf("out %v %d %d;", m, size, wireSize)
}

func (l *lines) CallEnded(c *Call, err error) {
	l.ends.Add(1)
	l.got += fmt.Sprintf("end %v %v;", c.RemoteAddr(), err)
}

var errTest = errors.New("test")

// begin begins a call whose method is "m" and whose request is "ask".
func begin() (*Call, *lines) {
	l := new(lines)
	c, _ := Begin(context.Background(), l, Info{FullMethod: "m"}, "ask")
	return c, l
}

// Each way of telling, and what is told by it. Nothing is told after the end, and the end once.
func TestCall(t *testing.T) {
	for name, test := range map[string]struct {
		of   func(c *Call)
		want string
	}{
		"messages":          {func(c *Call) { c.Sent("a", 1, 11); c.Received("b", 2, 12) }, "out a 1 11;in b 2 12;"},
		"request":           {func(c *Call) { c.SentRequest(3, 30) }, "out ask 3 30;"},
		"reply":             {func(c *Call) { c.Replied(12); c.ReceivedReply("r", 1) }, "in r 1 12;"},
		"interceptor reply": {func(c *Call) { c.ReceivedReply("r", 1) }, ""},
		"stream": {func(c *Call) {
			c.ReceivedNext("a", conn.Received{Size: 1, WireSize: 11, First: true})
			c.ReceivedNext("b", conn.Received{Size: 1, WireSize: 11})
		}, "in a 1 11;in b 1 11;"},
		"stream with a first message": {func(c *Call) {
			c.OpenedBy(50)
			c.ReceivedNext("a", conn.Received{Size: 1, WireSize: 11, First: true})
			c.ReceivedNext("b", conn.Received{Size: 1, WireSize: 11})
		}, "in a 1 50;in b 1 11;"},
		"after the end": {func(c *Call) {
			c.End(nil)
			c.End(errTest)
			c.Sent("a", 1, 11)
			c.Received("b", 2, 12)
			c.SentRequest(3, 30)
		}, "end <nil> <nil>;"},
		"the end's connection": {func(c *Call) {
			testkit.Equal(t, c.HasConn(), false)
			c.Use(addressed{})
			testkit.Equal(t, c.HasConn(), true)
			c.End(errTest)
		}, "end here test;"},
	} {
		t.Run(name, func(t *testing.T) {
			c, l := begin()
			test.of(c)
			testkit.Equal(t, l.got, "begin m;"+test.want)
		})
	}
}

// addressed is a net.Conn that is at "here".
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "here"} }

// A handler that decodes twice has received once, and one that fails to decode has not.
func TestUnmarshalerTellsOnce(t *testing.T) {
	c, l := begin()
	failing := errTest
	unmarshal := c.Unmarshaler(func(any) error { return failing }, 5, 15)
	testkit.WantExactly(t, unmarshal("x"), errTest)
	failing = nil
	testkit.Check(t, unmarshal("y"))
	testkit.Check(t, unmarshal("z"))
	testkit.Equal(t, l.got, "begin m;in y 5 15;")
}

// A call ends with its context, or before it, and in either case once.
func TestEndWith(t *testing.T) {
	for name, test := range map[string]struct {
		before, after bool // End is called before EndWith, or after it
		want          string
	}{
		"context":      {want: "end <nil> context canceled;"},
		"ended":        {after: true, want: "end <nil> test;"},
		"ended before": {before: true, want: "end <nil> test;"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, l := begin()
				ctx, cancel := context.WithCancel(context.Background())
				if test.before {
					c.End(errTest)
				}
				c.EndWith(ctx)
				if test.after {
					c.End(errTest)
				}
				cancel()
				synctest.Wait()
				testkit.Equal(t, l.got, "begin m;"+test.want)
			})
		})
	}
}

func TestRaceEnds(t *testing.T) {
	for range 100 {
		c, l := begin()
		ctx, cancel := context.WithCancel(context.Background())
		c.EndWith(ctx)
		ended := make(chan struct{})
		go func() { c.End(errTest); close(ended) }()
		cancel()
		<-ended
		testkit.Eventually(t, "the end", func() bool { return l.ends.Load() > 0 })
		testkit.Equal(t, l.ends.Load(), 1)
	}
}

// Without a handler there is no Call, and nothing is told.
func TestNilCall(t *testing.T) {
	var c *Call
	c.Use(nil)
	c.Sent("a", 1, 11)
	c.SentRequest(1, 11)
	c.Received("a", 1, 11)
	c.ReceivedNext("a", conn.Received{})
	c.Replied(11)
	c.ReceivedReply("a", 1)
	c.EndWith(t.Context())
	c.End(nil)
	testkit.WantExactly(t, c.Unmarshaler(func(any) error { return errTest }, 1, 11)(nil), errTest)
}
