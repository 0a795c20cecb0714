//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A goroutine that ends locked to its thread takes the thread with it: so does one of a handler's,
// as programs that enter namespaces rely on. Nothing else may run there, in whatever a handler has
// made of the thread.

// sfHere is where a handler runs: its thread, and what of it may differ from the process: see
// proc(5).
func sfHere() string {
	cwd, _ := os.Readlink("/proc/thread-self/cwd")
	uts, _ := os.Readlink("/proc/thread-self/ns/uts")
	mnt, _ := os.Readlink("/proc/thread-self/ns/mnt")
	return fmt.Sprint(unix.Gettid(), " ", cwd, " ", uts, " ", mnt)
}

// sfTake takes a thread for good, in a way, and says which.
var sfTake = map[string]func() error{
	"lock": func() error { return nil },
	"working folder": func() error { // which needs no rights
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		return unix.Chdir("/proc")
	},
	"namespace": func() error { return unix.Unshare(unix.CLONE_NEWUTS) },
}

// sfThreads is a server whose handlers say where they run; one whose text is the name of a way
// takes its thread.
func sfThreads(t *testing.T, opts ...ttrpc.ServerOpt) func() *ttrpc.Client {
	act := func(in string) (any, error) {
		take := sfTake[in]
		if take == nil {
			return sfText(sfHere()), nil
		}
		runtime.LockOSThread()
		if err := take(); err != nil {
			return nil, err
		}
		return sfText(sfHere()), nil
	}
	_, l := sfServe(t, nil, sfDesc(
		map[string]ttrpc.Method{"act": sfMethod(func(_ context.Context, in string) (any, error) { return act(in) })},
		map[string]ttrpc.StreamHandler{"act stream": func(_ context.Context, ss ttrpc.StreamServer) (any, error) {
			for {
				in := new(wrapperspb.StringValue)
				if err := ss.RecvMsg(in); errors.Is(err, io.EOF) {
					return nil, nil
				} else if err != nil {
					return nil, err
				}
				out, err := act(in.Value)
				if err != nil {
					return nil, err
				}
				if err := ss.SendMsg(out); err != nil {
					return nil, err
				}
			}
		}},
	), opts...)
	return func() *ttrpc.Client { return sfClient(t, sfDial(t, l)) }
}

// sfUnary and sfStream make one call of a kind.
func sfUnary(t testing.TB, c *ttrpc.Client, in string) string {
	t.Helper()
	out, err := sfCall(context.Background(), c, "act", in)
	sfCheck(t, err)
	return out
}

func sfStream(t testing.TB, c *ttrpc.Client, in string) string {
	t.Helper()
	cs, err := c.NewStream(context.Background(), sfBoth, sfService, "act stream", nil)
	sfCheck(t, err)
	sfCheck(t, cs.SendMsg(sfText(in)))
	sfCheck(t, cs.CloseSend())
	m := new(wrapperspb.StringValue)
	sfCheck(t, cs.RecvMsg(m))
	sfEqual(t, cs.RecvMsg(new(wrapperspb.StringValue)), io.EOF)
	return m.Value
}

// sfThread is the thread in what sfHere says, and sfRest all else.
func sfThread(here string) (n int) { fmt.Sscan(here, &n); return n }

func sfRest(here string) (rest string) {
	var thread int
	var cwd, uts, mnt string
	fmt.Sscan(here, &thread, &cwd, &uts, &mnt)
	return cwd + " " + uts + " " + mnt
}

func TestTakenThreadRunsNothingElse(t *testing.T) {
	kinds := map[string]func(testing.TB, *ttrpc.Client, string) string{"unary": sfUnary, "stream": sfStream}
	for way := range sfTake {
		if way == "namespace" && os.Getuid() != 0 {
			continue // it takes a right
		}
		for kind, call := range kinds {
			for _, before := range []int{0, 1, 400} {
				t.Run(fmt.Sprintf("%s %s after %d calls", way, kind, before), func(t *testing.T) {
					dial := sfThreads(t)
					c, other := dial(), dial()
					usual := sfRest(call(t, other, "where"))
					for range before { // a method that has been quick for long may be run otherwise
						sfEqual(t, sfRest(call(t, c, "where")), usual)
					}
					taken := sfThread(call(t, c, way))
					if before == 400 {
						sfSettle(t, taken, usual, c)
						sfSettle(t, taken, usual, other)
					}
					sfWantElsewhere(t, taken, usual, func(i int) string {
						return []func(testing.TB, *ttrpc.Client, string) string{sfUnary, sfStream}[i%2](t, other, "where")
					})
					sfWantElsewhere(t, taken, usual, func(int) string { return sfUnary(t, dial(), "where") })
					// The calls go over the connection whose worker it was.
					sfWantElsewhere(t, taken, usual, func(int) string { return call(t, c, "where") })
				})
			}
		}
	}
}

// sfSettle makes the calls that a taken thread may still see: where a method has taken no thread
// for long, somebody looks only after runs of some microseconds and after each sixteenth. So up to
// 16 more calls may run there.
func sfSettle(t *testing.T, taken int, usual string, c *ttrpc.Client) {
	t.Helper()
	const most = 16
	there := 0
	for range most + 1 {
		if here := sfUnary(t, c, "where"); sfThread(here) == taken || sfRest(here) != usual {
			there++
		}
	}
	if there > most {
		t.Fatalf("%d later calls of the connection ran on the thread that a handler has taken", there)
	}
}

// sfWantElsewhere makes a hundred later calls, and none of them may see the thread that was taken.
func sfWantElsewhere(t *testing.T, taken int, usual string, where func(i int) string) {
	t.Helper()
	there := 0
	for i := range 100 {
		here := where(i)
		if sfThread(here) == taken || sfRest(here) != usual {
			there++
		}
	}
	if there > 0 {
		t.Fatalf("%d of 100 later calls ran on the thread that a handler has taken", there)
	}
}

// Many at once take their threads, among calls that do not.
func TestManyTakenThreads(t *testing.T) {
	dial := sfThreads(t)
	usual := sfRest(sfUnary(t, dial(), "where"))
	var callers sync.WaitGroup
	var mu sync.Mutex
	taken := map[int]bool{}
	for caller := range 8 {
		c := dial()
		callers.Go(func() {
			for i := range 40 {
				if (i+caller)%4 != 0 {
					if out, err := sfCall(context.Background(), c, "act", "where"); err != nil || sfRest(out) != usual {
						t.Errorf("%v: ran in %s, not %s", err, sfRest(out), usual)
						return
					}
					continue
				}
				out, err := sfCall(context.Background(), c, "act", "working folder")
				mu.Lock()
				again := taken[sfThread(out)]
				taken[sfThread(out)] = true
				mu.Unlock()
				if err != nil || again {
					t.Errorf("%v: the thread was taken before: %v", err, again)
					return
				}
			}
		})
	}
	callers.Wait()
}

// A handler that gives its thread back has taken nothing, and one that panics or exits has ended
// anyway.
func TestThreadIsGivenBack(t *testing.T) {
	_, l := sfServe(t, nil, sfDesc(map[string]ttrpc.Method{
		"borrow": sfMethod(func(context.Context, string) (any, error) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return sfText(""), nil
		}),
		"exit": sfMethod(func(context.Context, string) (any, error) {
			runtime.LockOSThread()
			runtime.Goexit()
			return nil, nil
		}),
		"panic": sfMethod(func(context.Context, string) (any, error) {
			runtime.LockOSThread()
			panic("with the thread")
		}),
		"where": sfMethod(func(context.Context, string) (any, error) { return sfText(sfHere()), nil }),
	}, nil), ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return errors.New("recovered") }))
	c := sfClient(t, sfDial(t, l))
	for range 100 {
		_, err := sfCall(context.Background(), c, "borrow", "")
		sfCheck(t, err)
		for _, method := range []string{"exit", "panic"} {
			if _, err := sfCall(context.Background(), c, method, ""); err == nil {
				t.Fatal("no error")
			}
		}
		sfWantEcho(t, c)
	}
}
