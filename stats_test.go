//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/containerd/ttrpc"
)

// statsLog is a StatsHandler that lists what it is told, one list for calls, one for connections.
type statsLog struct {
	tag string // a value that it puts into contexts

	mu           sync.Mutex // guards all below
	calls, conns []string
	ends         []*ttrpc.CallEnd
	sizes        []int // of payloads, the message's and the frame's
	changed      chan struct{}
}

type statsKey string

func newStatsLog() *statsLog { return &statsLog{tag: "log", changed: make(chan struct{})} }

func (l *statsLog) add(to *[]string, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*to = append(*to, fmt.Sprintf(format, args...))
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *statsLog) TagConn(ctx context.Context, info *ttrpc.ConnInfo) context.Context {
	l.add(&l.conns, "tag client=%v addr=%v", info.Client, info.RemoteAddr != nil && info.LocalAddr != nil)
	return context.WithValue(ctx, statsKey(l.tag), "conn")
}

func (l *statsLog) HandleConn(ctx context.Context, event ttrpc.ConnEvent) {
	equal(nilTB, ctx.Value(statsKey(l.tag)), any("conn"))
	switch e := event.(type) {
	case *ttrpc.ConnBegin:
		l.add(&l.conns, "begin client=%v", e.Client)
	case *ttrpc.ConnEnd:
		l.add(&l.conns, "end client=%v ordered=%v err=%v", e.Client, !e.End.Before(e.Begin), e.Err)
	}
}

func (l *statsLog) TagCall(ctx context.Context, info *ttrpc.CallInfo) context.Context {
	if !info.Client {
		equal(nilTB, ctx.Value(statsKey(l.tag)), any("conn"))
	}
	return context.WithValue(ctx, statsKey(l.tag), "call")
}

func (l *statsLog) HandleCall(ctx context.Context, event ttrpc.CallEvent) {
	equal(nilTB, ctx.Value(statsKey(l.tag)), any("call"))
	switch e := event.(type) {
	case *ttrpc.CallBegin:
		l.add(&l.calls, "begin %s%s", strings.TrimPrefix(e.FullMethod, "/"+svc+"/"), kindOf(e.CallInfo))
	case *ttrpc.InPayload:
		l.sized(e.Size, e.WireSize)
		l.add(&l.calls, "in %s", textOf(e.Message))
	case *ttrpc.OutPayload:
		l.sized(e.Size, e.WireSize)
		l.add(&l.calls, "out %s", textOf(e.Message))
	case *ttrpc.CallEnd:
		l.mu.Lock()
		l.ends = append(l.ends, e)
		l.mu.Unlock()
		l.add(&l.calls, "end %v", status.Code(e.Err))
	}
}

func (l *statsLog) sized(message, frame int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sizes = append(l.sizes, message, frame)
}

func kindOf(i ttrpc.CallInfo) (kind string) {
	for word, is := range map[string]bool{"client": i.Client, "up": i.StreamingClient, "down": i.StreamingServer, "unknown": i.Unregistered} {
		if is {
			kind += " " + word
		}
	}
	words := strings.Fields(kind)
	slices.Sort(words)
	if len(words) == 0 {
		return ""
	}
	return " " + strings.Join(words, " ")
}

func textOf(m any) string {
	if m, ok := m.(*message); ok {
		return m.Value
	}
	return fmt.Sprint(m)
}

// nilTB fails a test from a goroutine that is not the test's: by a panic.
var nilTB testing.TB = panicTB{}

type panicTB struct{ testing.TB }

func (panicTB) Helper()                      {}
func (panicTB) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// wantCalls waits until so many events have been told, and compares them.
func (l *statsLog) wantCalls(t testing.TB, want ...string) {
	t.Helper()
	l.want(t, &l.calls, want)
}

func (l *statsLog) wantConns(t testing.TB, want ...string) {
	t.Helper()
	l.want(t, &l.conns, want)
}

func (l *statsLog) want(t testing.TB, list *[]string, want []string) {
	t.Helper()
	for {
		l.mu.Lock()
		got, changed := slices.Clone(*list), l.changed
		l.mu.Unlock()
		if len(got) >= len(want) {
			if !slices.Equal(got, want) {
				t.Fatalf("events: got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			return
		}
		<-changed
	}
}

// statsRig has a log on either side.
func statsRig(t testing.TB, opts ...any) (r *rig, server, client *statsLog) {
	server, client = newStatsLog(), newStatsLog()
	opts = append(opts, ttrpc.WithServerStats(server), ttrpc.WithClientStats(client))
	return serve(t, opts...), server, client
}

func TestStatsOfUnaryCalls(t *testing.T) {
	for name, opts := range map[string][]any{
		"plain":       nil,
		"intercepted": {ttrpc.WithUnaryClientInterceptor(passOn)},
		"extensions":  {ttrpc.WithClientExtensions(ttrpc.ExtensionsAssumed)},
	} {
		t.Run(name, func(t *testing.T) {
			r, server, client := statsRig(t, opts...)
			c := r.client()
			wantEcho(t, c)
			server.wantCalls(t, "begin echo", "in still here", "out still here", "end OK")
			client.wantCalls(t, "begin echo client", "out still here", "in still here", "end OK")
			// The message is 12 bytes; the Request has a header of 10 and the names, the Response 2 more.
			request := 10 + 2 + len(svc) + 2 + len("echo") + 2 + 12
			for _, l := range []*statsLog{server, client} {
				end := l.ends[0]
				equal(t, end.End.Before(end.Begin), false)
				equal(t, end.RemoteAddr != nil, true)
				equal(t, fmt.Sprint(l.sizes), fmt.Sprint([]int{12, request, 12, 24}))
			}
			_, err := call(bg, c, "fail", "x")
			equal(t, status.Code(err), codes.NotFound)
			server.wantCalls(t, "begin echo", "in still here", "out still here", "end OK", "begin fail", "in x", "end NotFound")
			client.wantCalls(t, "begin echo client", "out still here", "in still here", "end OK",
				"begin fail client", "out x", "end NotFound")
			equal(t, client.ends[1].Err.Error(), err.Error())
		})
	}
}

// The server has told all of a call before its client is answered.
func TestStatsOfServerPrecedeAnswer(t *testing.T) {
	r, server, _ := statsRig(t)
	c := r.client()
	for i := range 100 {
		wantEcho(t, c)
		server.mu.Lock()
		equal(t, len(server.ends), i+1)
		server.mu.Unlock()
	}
}

func TestStatsOfStreams(t *testing.T) {
	t.Run("both", func(t *testing.T) {
		r, server, client := statsRig(t)
		cs := open(t, bg, r.client(), both, "chat", nil)
		check(t, cs.SendMsg(text("one")))
		wantNext(t, cs, "one")
		check(t, cs.CloseSend())
		wantTexts(t, cs)
		_, err := recvText(cs)
		wantExactly(t, err, io.EOF)
		client.wantCalls(t, "begin chat client down up", "out one", "in one", "end OK")
		server.wantCalls(t, "begin chat down up", "in one", "out one", "end OK")
		equal(t, fmt.Sprint(client.sizes), "[5 15 5 15]")
		equal(t, fmt.Sprint(server.sizes), "[5 15 5 15]")
	})
	t.Run("down", func(t *testing.T) {
		r, server, client := statsRig(t)
		wantTexts(t, open(t, bg, r.client(), down, "list", text("2")), "0", "1")
		client.wantCalls(t, "begin list client down", "out 2", "in 0", "in 1", "end OK")
		server.wantCalls(t, "begin list down", "in 2", "out 0", "out 1", "end OK")
		equal(t, server.sizes[1], client.sizes[1]) // the Request's frame
	})
	t.Run("up", func(t *testing.T) {
		r, server, client := statsRig(t)
		cs := open(t, bg, r.client(), up, "join", text("a"))
		check(t, cs.SendMsg(text("b")))
		check(t, cs.CloseSend())
		wantNext(t, cs, "[a][b]")
		client.wantCalls(t, "begin join client up", "out a", "out b", "in [a][b]", "end OK")
		server.wantCalls(t, "begin join up", "in a", "in b", "out [a][b]", "end OK")
		equal(t, fmt.Sprint(server.sizes), fmt.Sprint(client.sizes))
	})
	t.Run("empty first message", func(t *testing.T) {
		r, _, client := statsRig(t)
		cs := open(t, bg, r.client(), up, "join", text(""))
		check(t, cs.CloseSend())
		wantNext(t, cs, "[]")
		client.wantCalls(t, "begin join client up", "out ", "in []", "end OK")
	})
}

// A stream ends with its context, or its connection, also where nobody receives from it.
func TestStatsOfStreamsThatNobodyReceives(t *testing.T) {
	for name, end := range map[string]struct {
		end  func(cancel func(), c *ttrpc.Client)
		want codes.Code
	}{
		"context": {func(cancel func(), _ *ttrpc.Client) { cancel() }, codes.Canceled},
		"close":   {func(_ func(), c *ttrpc.Client) { c.Close() }, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, client := statsRig(t)
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			c := r.client()
			cs := open(t, ctx, c, both, "mute", nil)
			end.end(cancel, c)
			client.wantCalls(t, "begin mute client down up", "end "+end.want.String())
			_, err := recvText(cs)
			equal(t, ttrpc.StatusOf(err).Code(), end.want)
			equal(t, len(client.ends), 1)
		})
	}
}

// The server has ended the stream, and its user has not come to know: the context ends it.
func TestStatsOfStreamEndedByServer(t *testing.T) {
	r, server, client := statsRig(t)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	cs := open(t, ctx, r.client(), both, "chat", nil)
	check(t, cs.CloseSend())
	server.wantCalls(t, "begin chat down up", "end OK")
	cancel()
	client.wantCalls(t, "begin chat client down up", "end Canceled")
}

// A message that does not decode does not end a stream.
func TestStatsOfMessagesThatDoNotDecode(t *testing.T) {
	r, _, client := statsRig(t)
	cs := open(t, bg, r.client(), down, "list", text("2"))
	if err := cs.RecvMsg(nil); err == nil {
		t.Fatal("nil was decoded into")
	}
	wantTexts(t, cs, "1")
	client.wantCalls(t, "begin list client down", "out 2", "in 1", "end OK")
}

func TestStatsOfRefusedCalls(t *testing.T) {
	g := newGate()
	r, server, client := statsRig(t, ttrpc.WithServerMaxCalls(1), withMethod("wait", g.unary()))
	c := r.client()
	_, err := call(bg, c, "none", "x")
	equal(t, status.Code(err), codes.Unimplemented)
	equal(t, status.Code(c.Call(bg, "no.Service", "none", text("x"), new(message))), codes.Unimplemented)
	server.wantCalls(t, "begin none unknown", "end Unimplemented", "begin /no.Service/none unknown", "end Unimplemented")
	held := goCall(bg, c, "wait", "one")
	<-g.started
	_, err = call(bg, c, "echo", "x")
	equal(t, status.Code(err), codes.ResourceExhausted)
	g.open()
	check(t, <-held)
	server.wantCalls(t, "begin none unknown", "end Unimplemented", "begin /no.Service/none unknown", "end Unimplemented",
		"begin wait", "in one", "begin echo", "end ResourceExhausted", "out one", "end OK")
	c.Close()
	_, err = call(bg, c, "echo", "x")
	wantIs(t, err, ttrpc.ErrClosed)
	ends := client.ends
	equal(t, status.Code(ends[len(ends)-1].Err), codes.Unavailable)
	equal(t, ends[len(ends)-1].RemoteAddr, nil)
}

// A server that shuts down tells of the calls that it refuses.
func TestStatsOfCallsThatComeTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, server := newGate(), newStatsLog()
		r := onPipe(t, ttrpc.WithServerStats(server), withMethod("wait", g.unary()))
		c := pipeClient(t, r, ttrpc.WithClientExtensions(ttrpc.ExtensionsOff))
		held := goCall(bg, c, "wait", "one")
		<-g.started
		down := make(chan error, 1)
		go func() { down <- r.Shutdown(bg) }()
		synctest.Wait()
		_, err := call(bg, c, "echo", "x")
		equal(t, status.Code(err), codes.Unavailable)
		g.open()
		check(t, <-held)
		check(t, <-down)
		server.wantCalls(t, "begin wait", "in one", "begin echo", "end Unavailable", "out one", "end OK")
		server.wantConns(t, "tag client=false addr=true", "begin client=false", "end client=false ordered=true err=<nil>")
	})
}

func TestStatsOfConnections(t *testing.T) {
	r, server, client := statsRig(t)
	c := r.client()
	wantEcho(t, c)
	c.Close()
	check(t, c.UserOnCloseWait(bg))
	client.wantConns(t, "tag client=true addr=true", "begin client=true", "end client=true ordered=true err=<nil>")
	server.wantConns(t, "tag client=false addr=true", "begin client=false", "end client=false ordered=true err=<nil>")
}

// refuser is a handshaker that refuses.
type refuser struct{ err error }

func (r refuser) Handshake(context.Context, net.Conn) (net.Conn, any, error) { return nil, nil, r.err }

func TestStatsOfFailedHandshakes(t *testing.T) {
	refused := errors.New("refused")
	r, server, client := statsRig(t, ttrpc.WithServerHandshaker(refuser{refused}))
	c := r.client()
	check(t, c.UserOnCloseWait(bg))
	server.wantConns(t, "tag client=false addr=true", "begin client=false", "end client=false ordered=true err=refused")
	client.wantConns(t, "tag client=true addr=true", "begin client=true", "end client=true ordered=true err=<nil>")
}

// closingStats closes the server when it is asked to tag a connection.
type closingStats struct {
	*statsLog
	server *ttrpc.Server
}

func (s *closingStats) TagConn(ctx context.Context, info *ttrpc.ConnInfo) context.Context {
	check(nilTB, s.server.Close())
	return s.statsLog.TagConn(ctx, info)
}

// patient is a handshaker that waits for the end of its context, and says when that was.
type patient struct{ ended chan time.Time }

func (p patient) Handshake(ctx context.Context, _ net.Conn) (net.Conn, any, error) {
	<-ctx.Done()
	p.ended <- time.Now()
	return nil, nil, ctx.Err()
}

// A connection that is closed while its begin is told has a begin and an end, and its handshake,
// which comes after that, a context that has ended.
func TestStatsHandlerClosesServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, handshaker := &closingStats{statsLog: newStatsLog()}, patient{make(chan time.Time, 1)}
		s, err := ttrpc.NewServer(
			ttrpc.WithServerStats(log), ttrpc.WithServerHandshaker(handshaker), ttrpc.WithServerHandshakeTimeout(time.Hour),
		)
		check(t, err)
		log.server = s
		own, peer := net.Pipe()
		defer peer.Close()
		began := time.Now()
		wantExactly(t, s.ServeConn(bg, own), ttrpc.ErrServerClosed)
		equal(t, (<-handshaker.ended).Sub(began), 0)
		log.wantConns(t, "tag client=false addr=true", "begin client=false", "end client=false ordered=true err=<nil>")
	})
}

// Connections that come while the server is closed have an end for each begin.
func TestRaceStatsOfConnections(t *testing.T) {
	for range 50 {
		r, server, _ := statsRig(t)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				conn, err := net.Dial(r.l.Addr().Network(), r.l.Addr().String())
				if err == nil {
					conn.Close()
				}
			})
		}
		r.Close()
		all.Wait()
		check(t, r.Shutdown(bg))
		<-r.served
		server.mu.Lock()
		var begins, ends int
		for _, e := range server.conns {
			begins += strings.Count(e, "begin")
			ends += strings.Count(e, "end")
		}
		server.mu.Unlock()
		if begins < ends {
			t.Fatalf("%d begins, %d ends", begins, ends)
		}
	}
}

// Several handlers are told, and each has the context that the one before has tagged.
func TestStatsOfSeveralHandlers(t *testing.T) {
	first, second := newStatsLog(), newStatsLog()
	first.tag, second.tag = "first", "second"
	seen := make(chan any, 1)
	r := serve(t, ttrpc.WithServerStats(first), ttrpc.WithServerStats(nil), ttrpc.WithServerStats(second),
		withMethod("tags", unary(func(ctx context.Context, _ string) (string, error) {
			seen <- fmt.Sprintf("%v %v", ctx.Value(statsKey("first")), ctx.Value(statsKey("second")))
			return "", nil
		})))
	_, err := call(bg, r.client(), "tags", "x")
	check(t, err)
	equal(t, <-seen, any("call call"))
	first.wantCalls(t, "begin tags", "in x", "out ", "end OK")
	second.wantCalls(t, "begin tags", "in x", "out ", "end OK")
}

// mdTagger puts metadata into the contexts of a client's calls.
type mdTagger struct{ *statsLog }

func (mdTagger) TagCall(ctx context.Context, _ *ttrpc.CallInfo) context.Context {
	return ttrpc.WithMetadata(context.WithValue(ctx, statsKey("log"), "call"), ttrpc.MD{"traced": {"yes"}})
}

// What TagCall puts into the metadata travels along.
func TestStatsTagTravels(t *testing.T) {
	for name, opts := range map[string][]any{"plain": nil, "intercepted": {ttrpc.WithUnaryClientInterceptor(passOn)}} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, append(opts, ttrpc.WithClientStats(mdTagger{newStatsLog()}),
				withMethod("md", unary(func(ctx context.Context, _ string) (string, error) {
					v, _ := ttrpc.GetMetadataValue(ctx, "traced")
					return v, nil
				})))...)
			out, err := call(bg, r.client(), "md", "")
			check(t, err)
			equal(t, out, "yes")
		})
	}
}

// A call of a client of Dial has one begin and one end, whatever attempts it takes; each connection
// has its own.
func TestStatsOfDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		log := newStatsLog()
		c := p.client(ttrpc.WithClientStats(log), ttrpc.WithWaitForReady())
		waiting := goCall(bg, c, "echo", "x")
		synctest.Wait()
		equal(t, p.dialled(), 1)
		p.set(onPipe(t))
		check(t, <-waiting)
		log.wantCalls(t, "begin echo client", "out x", "in x", "end OK")
		cs := open(t, bg, c, both, "chat", nil)
		check(t, cs.CloseSend())
		wantTexts(t, cs)
		log.wantCalls(t, "begin echo client", "out x", "in x", "end OK", "begin chat client down up", "end OK")
		c.Close()
		check(t, c.UserOnCloseWait(bg))
		log.wantConns(t, "tag client=true addr=true", "begin client=true", "end client=true ordered=true err=<nil>")
	})
}

// A handler that exits, and one that panics, have an end.
func TestStatsOfHandlersThatPanic(t *testing.T) {
	r, server, _ := statsRig(t, ttrpc.WithRecovery(func(context.Context, string, any, []byte) error {
		return status.Error(codes.DataLoss, "lost")
	}), withMethod("panic", unary(func(context.Context, string) (string, error) { panic("x") })))
	_, err := call(bg, r.client(), "panic", "x")
	equal(t, status.Code(err), codes.DataLoss)
	server.wantCalls(t, "begin panic", "in x", "end DataLoss")
}

// Methods that the loop runs itself are told of like any other, from many clients at once.
func TestRaceStats(t *testing.T) {
	r, server, client := statsRig(t)
	var all sync.WaitGroup
	const clients, calls = 4, 200
	for range clients {
		c := r.client()
		all.Go(func() {
			for range calls {
				wantEcho(t, c)
				cs := open(t, bg, c, down, "list", text("1"))
				wantTexts(t, cs, "0")
			}
		})
	}
	all.Wait()
	for _, l := range []*statsLog{server, client} {
		l.mu.Lock()
		equal(t, len(l.ends), 2*clients*calls)
		equal(t, len(l.calls), 2*clients*calls*4)
		for _, e := range l.ends {
			check(t, e.Err)
		}
		l.mu.Unlock()
	}
}
