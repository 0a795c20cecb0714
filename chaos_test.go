//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/internal/pipe"
)

// The chaos tests make calls of all kinds over connections with random faults. Whatever happens, an
// answer is the call's own, an error is one of those that the faults can cause, and everything
// ends. CHAOS=n runs n connections in place of the usual number, CHAOS_SEED=n starts at that seed.

// chaosSeeds returns the first seed and the number of connections.
func chaosSeeds(n int) (first, count uint64) {
	if s, err := strconv.Atoi(os.Getenv("CHAOS")); err == nil {
		n = s
	}
	seed, _ := strconv.Atoi(os.Getenv("CHAOS_SEED"))
	return uint64(seed), uint64(n)
}

// chaosCount counts what a test has seen.
type chaosCount struct{ conns, endless, calls, failed atomic.Int64 }

func (n *chaosCount) log(t *testing.T) {
	t.Logf("%d connections, %d of them without an end, %d calls, %d failed as they may",
		n.conns.Load(), n.endless.Load(), n.calls.Load(), n.failed.Load())
}

// chaos is the load of one connection.
type chaos struct {
	t     *testing.T
	c     *ttrpc.Client
	name  string // of the seed and the faults, for failures
	count *chaosCount
	whole bool // nothing on the connection ends it: every call has to succeed
	fake  bool // time costs nothing
}

// TestChaos runs over pipes, in fake time.
func TestChaos(t *testing.T) {
	first, n := chaosSeeds(1000)
	count := new(chaosCount)
	defer count.log(t)
	const batch = 50
	for from := first; from < first+n; from += batch {
		synctest.Test(t, func(t *testing.T) {
			l := pipe.Listen()
			r := serve(t, l, ttrpc.WithServerStreamBuffer(20000, 50000), ttrpc.WithServerWriteBacklog(5000))
			var all sync.WaitGroup
			shuts := from/batch%4 == 3 // under load
			if shuts {
				time.AfterFunc(time.Duration(1+from%20)*time.Millisecond, func() { go r.Shutdown(bg) })
			}
			for seed := from; seed < min(from+batch, first+n); seed++ {
				all.Go(func() { chaosOnPipe(t, l, seed, count, shuts) })
			}
			all.Wait()
			leftovers := ttrpc.ServerLeftovers(r.Server)
			check(t, r.Shutdown(bg))
			synctest.Wait() // for handlers, whose clients have gone
			equal(t, leftovers(), "")
		})
	}
}

func chaosOnPipe(t *testing.T, l *pipe.Listener, seed uint64, count *chaosCount, shuts bool) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	there, textThere := pipe.Random(rand.New(rand.NewPCG(seed, 1)), 5000)
	back, textBack := pipe.Random(rand.New(rand.NewPCG(seed, 2)), 5000)
	conn, err := l.Dial(there, back)
	check(t, err)
	load := &chaos{
		t: t, count: count, name: fmt.Sprintf("seed %d, there: %s, back: %s", seed, textThere, textBack),
		whole: endless(there) && endless(back) && !shuts, fake: true,
	}
	load.run(rnd, conn)
}

func endless(o pipe.Options) bool {
	for _, f := range o.Faults {
		if f.Kind != pipe.Stall {
			return false
		}
	}
	return true
}

// run makes calls from several goroutines and waits for them, and for the end of the client.
func (l *chaos) run(rnd *rand.Rand, conn net.Conn) {
	l.count.conns.Add(1)
	if l.whole {
		l.count.endless.Add(1)
	}
	l.c = ttrpc.NewClient(conn, ttrpc.WithClientStreamBuffer(20000, 50000), ttrpc.WithClientWriteBacklog(1+rnd.IntN(5000)))
	var callers sync.WaitGroup
	for caller := range 1 + rnd.IntN(4) {
		r := rand.New(rand.NewPCG(rnd.Uint64(), 0))
		callers.Go(func() {
			for i := range 1 + r.IntN(8) {
				l.step(r, fmt.Sprintf("%d/%d", caller, i))
			}
		})
	}
	callers.Wait()
	_ = l.c.Close()
	if err := l.c.UserOnCloseWait(bg); err != nil {
		l.t.Error(err)
	}
}

func (l *chaos) step(r *rand.Rand, tag string) {
	ctx, cancel, patient := l.context(r)
	defer cancel()
	in := tag + strings.Repeat("x", r.IntN(1<<r.IntN(10)))
	var err error
	switch r.IntN(7) {
	case 0, 1, 2:
		err = l.echo(ctx, in)
	case 3:
		err = l.chat(ctx, r.IntN(12), in, l.pause(r))
	case 4:
		err = l.list(ctx, r.IntN(40), l.pause(r))
	case 5:
		err = l.join(ctx, r.IntN(12), in)
	case 6:
		if _, err = call(ctx, l.c, "fail", tag); err != nil && strings.HasSuffix(err.Error(), "NotFound desc = "+tag) {
			err = nil
		}
	}
	l.count.calls.Add(1)
	if err != nil {
		l.count.failed.Add(1)
	}
	if err != nil && (patient && l.whole || !l.expected(err)) {
		l.t.Errorf("%s: %s: %v", l.name, tag, err)
	}
}

// context returns one that ends at some moment, or never: patient.
func (l *chaos) context(r *rand.Rand) (ctx context.Context, cancel context.CancelFunc, patient bool) {
	switch r.IntN(6) {
	case 0:
		ctx, cancel = context.WithTimeout(bg, time.Duration(r.Int64N(int64(30*time.Millisecond))))
		return ctx, cancel, false
	case 1:
		ctx, cancel = context.WithCancel(bg)
		timer := time.AfterFunc(time.Duration(r.Int64N(int64(10*time.Millisecond))), cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
		return ctx, cancel, false
	case 2:
		ctx, cancel = context.WithTimeout(bg, time.Hour)
		return ctx, cancel, true
	}
	return bg, func() {}, true
}

// expected are the errors that an end of the connection or of a context can cause; a deadline, also
// at the server.
func (l *chaos) expected(err error) bool {
	return errors.Is(err, ttrpc.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		strings.HasSuffix(err.Error(), "code = DeadlineExceeded desc = context deadline exceeded")
}

// wrong is an answer that is not the call's.
type wrong struct{ got, want string }

func (w *wrong) Error() string { return fmt.Sprintf("wrong answer %.50q, want %.50q", w.got, w.want) }

func compare(got, want string) error {
	if got != want {
		return &wrong{got, want}
	}
	return nil
}

func (l *chaos) echo(ctx context.Context, in string) error {
	out, err := call(ctx, l.c, "echo", in)
	if err != nil {
		return err
	}
	return compare(out, in)
}

// pause is for how long a consumer takes nothing, before each message.
func (l *chaos) pause(r *rand.Rand) time.Duration {
	if !l.fake || r.IntN(4) > 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(time.Second)))
}

// chat sends and receives at once.
func (l *chaos) chat(ctx context.Context, n int, in string, pause time.Duration) error {
	cs, err := l.c.NewStream(ctx, both, svc, "chat", nil)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- sendAll(cs, n, in) }()
	err = receiveSlowly(cs, func(i int) string { return in + strconv.Itoa(i) }, n, pause)
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	return err
}

func sendAll(cs ttrpc.ClientStream, n int, in string) error {
	for i := range n {
		if err := cs.SendMsg(text(in + strconv.Itoa(i))); errors.Is(err, ttrpc.ErrStreamClosed) {
			return nil // RecvMsg knows why
		} else if err != nil {
			return err
		}
	}
	return cs.CloseSend()
}

func receiveAll(cs ttrpc.ClientStream, want func(int) string, n int) error {
	return receiveSlowly(cs, want, n, 0)
}

// receiveSlowly receives n messages and the end, with pauses.
func receiveSlowly(cs ttrpc.ClientStream, want func(int) string, n int, pause time.Duration) error {
	for i := 0; ; i++ {
		if pause > 0 {
			elapse(pause)
		}
		got, err := recvText(cs)
		switch {
		case errors.Is(err, io.EOF) && i == n:
			return nil
		case errors.Is(err, io.EOF):
			return &wrong{fmt.Sprint(i, " messages"), fmt.Sprint(n)}
		case err != nil:
			return err
		case got != want(i):
			return &wrong{got, want(i)}
		}
	}
}

func (l *chaos) list(ctx context.Context, n int, pause time.Duration) error {
	cs, err := l.c.NewStream(ctx, down, svc, "list", text(strconv.Itoa(n)))
	if err != nil {
		return err
	}
	return receiveSlowly(cs, strconv.Itoa, n, pause)
}

func (l *chaos) join(ctx context.Context, n int, in string) error {
	cs, err := l.c.NewStream(ctx, up, svc, "join", nil)
	if err != nil {
		return err
	}
	if err := sendAll(cs, n, in); err != nil {
		return err
	}
	out, err := recvText(cs)
	if err != nil {
		return err
	}
	var want strings.Builder
	for i := range n {
		want.WriteString("[" + in + strconv.Itoa(i) + "]")
	}
	return compare(out, want.String())
}

// TestChaosOverSockets runs through a proxy between unix sockets.
func TestChaosOverSockets(t *testing.T) {
	first, n := chaosSeeds(150)
	count := new(chaosCount)
	defer count.log(t)
	r := serve(t, ttrpc.WithServerStreamBuffer(20000, 50000), ttrpc.WithServerWriteBacklog(5000))
	var all sync.WaitGroup
	turns := make(chan struct{}, 8)
	for seed := first; seed < first+n; seed++ {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			chaosOnSocket(t, r, seed, count)
		})
	}
	all.Wait()
	check(t, r.Shutdown(bg))
}

func chaosOnSocket(t *testing.T, r *rig, seed uint64, count *chaosCount) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	near, far := pair(t, "unix")
	server := r.conn()
	p := &proxy{a: far, b: server}
	whole := p.start(rnd)
	load := &chaos{t: t, count: count, name: fmt.Sprintf("seed %d", seed), whole: whole}
	load.run(rnd, near)
	p.close()
}

// proxy passes bytes between two connections, in pieces, until it cuts them.
type proxy struct {
	a, b net.Conn
	done sync.WaitGroup
}

// start reports whether the connection will last.
func (p *proxy) start(r *rand.Rand) (whole bool) {
	limits := [2]int{1 << 30, 1 << 30}
	whole = r.IntN(2) == 0
	if !whole {
		limits[r.IntN(2)] = r.IntN(1 + r.IntN(5000))
	}
	half := r.IntN(3) == 0
	ra, rb := rand.New(rand.NewPCG(r.Uint64(), 0)), rand.New(rand.NewPCG(r.Uint64(), 0))
	p.done.Go(func() { p.pass(p.a, p.b, limits[0], half, ra) })
	p.done.Go(func() { p.pass(p.b, p.a, limits[1], half, rb) })
	return whole
}

// pass copies up to limit bytes, and cuts one direction then, or both.
func (p *proxy) pass(from, to net.Conn, limit int, half bool, r *rand.Rand) {
	buf := make([]byte, 1<<(4+r.IntN(12)))
	for limit > 0 {
		n, err := from.Read(buf[:min(limit, 1+r.IntN(len(buf)))])
		limit -= n
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			break
		}
	}
	if half {
		_ = to.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, from)
		return
	}
	p.a.Close() // with bytes unread this is a reset
	p.b.Close()
}

func (p *proxy) close() {
	p.a.Close()
	p.b.Close()
	p.done.Wait()
}
