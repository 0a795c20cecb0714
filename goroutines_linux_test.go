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

// here is where a handler runs: its thread, and what of it may differ from the process: see
// proc(5).
func here() string {
	cwd, _ := os.Readlink("/proc/thread-self/cwd")
	uts, _ := os.Readlink("/proc/thread-self/ns/uts")
	mnt, _ := os.Readlink("/proc/thread-self/ns/mnt")
	return fmt.Sprint(unix.Gettid(), " ", cwd, " ", uts, " ", mnt)
}

// take takes a thread for good, in a way, and says which.
var take = map[string]func() error{
	"lock": func() error { return nil },
	"working folder": func() error { // which needs no rights
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		return unix.Chdir("/proc")
	},
	"namespace": func() error { return unix.Unshare(unix.CLONE_NEWUTS) },
}

// threads is a server whose handlers say where they run; one whose text is the name of a way
// takes its thread.
func threads(t *testing.T, opts ...ttrpc.ServerOpt) func() *ttrpc.Client {
	act := func(in string) (any, error) {
		take := take[in]
		if take == nil {
			return text(here()), nil
		}
		runtime.LockOSThread()
		if err := take(); err != nil {
			return nil, err
		}
		return text(here()), nil
	}
	_, l := serveOn(t, nil, serviceOf(
		map[string]ttrpc.Method{"act": methodOf(func(_ context.Context, in string) (any, error) { return act(in) })},
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
	return func() *ttrpc.Client { return newClient(t, dial(t, l)) }
}

// actUnary and actStream make one call of a kind.
func actUnary(t testing.TB, c *ttrpc.Client, in string) string {
	t.Helper()
	out, err := call(context.Background(), c, "act", in)
	check(t, err)
	return out
}

func actStream(t testing.TB, c *ttrpc.Client, in string) string {
	t.Helper()
	cs, err := c.NewStream(context.Background(), both, svc, "act stream", nil)
	check(t, err)
	check(t, cs.SendMsg(text(in)))
	check(t, cs.CloseSend())
	m := new(wrapperspb.StringValue)
	check(t, cs.RecvMsg(m))
	equal(t, cs.RecvMsg(new(wrapperspb.StringValue)), io.EOF)
	return m.Value
}

// thread is the thread in what here says, and rest all else.
func thread(here string) (n int) { fmt.Sscan(here, &n); return n }

func rest(here string) (rest string) {
	var thread int
	var cwd, uts, mnt string
	fmt.Sscan(here, &thread, &cwd, &uts, &mnt)
	return cwd + " " + uts + " " + mnt
}

func TestTakenThreadRunsNothingElse(t *testing.T) {
	kinds := map[string]func(testing.TB, *ttrpc.Client, string) string{"unary": actUnary, "stream": actStream}
	for way := range take {
		if way == "namespace" && os.Getuid() != 0 {
			continue // it takes a right
		}
		for kind, call := range kinds {
			for _, before := range []int{0, 1, 400} {
				t.Run(fmt.Sprintf("%s %s after %d calls", way, kind, before), func(t *testing.T) {
					dial := threads(t)
					c, other := dial(), dial()
					usual := rest(call(t, other, "where"))
					for range before { // a method that has been quick for long may be run otherwise
						equal(t, rest(call(t, c, "where")), usual)
					}
					taken := thread(call(t, c, way))
					there := countThere(t, taken, usual, func(i int) string {
						return []func(testing.TB, *ttrpc.Client, string) string{actUnary, actStream}[i%2](t, other, "where")
					})
					there += countThere(t, taken, usual, func(int) string { return actUnary(t, dial(), "where") })
					// The calls go over the connection whose worker it was.
					there += countThere(t, taken, usual, func(int) string { return call(t, c, "where") })
					if there > 0 && before < 400 || there > unseen {
						t.Fatalf("%d of 300 later calls ran on the thread that a handler has taken", there)
					}
				})
			}
		}
	}
}

// unseen is how many calls may still see a taken thread where a method has taken none for long:
// somebody looks only after runs of some microseconds and after each sixteenth, of a worker and of
// a loop, and one goroutine may have been both.
const unseen = 2 * 16

// countThere makes a hundred later calls, and counts those that see the thread that was taken.
func countThere(t *testing.T, taken int, usual string, where func(i int) string) (there int) {
	t.Helper()
	for i := range 100 {
		here := where(i)
		if thread(here) == taken || rest(here) != usual {
			there++
		}
	}
	return there
}

// Many at once take their threads, among calls that do not.
func TestManyTakenThreads(t *testing.T) {
	dial := threads(t)
	usual := rest(actUnary(t, dial(), "where"))
	var callers sync.WaitGroup
	var mu sync.Mutex
	taken := map[int]bool{}
	for caller := range 8 {
		c := dial()
		callers.Go(func() {
			for i := range 40 {
				if (i+caller)%4 != 0 {
					if out, err := call(context.Background(), c, "act", "where"); err != nil || rest(out) != usual {
						t.Errorf("%v: ran in %s, not %s", err, rest(out), usual)
						return
					}
					continue
				}
				out, err := call(context.Background(), c, "act", "working folder")
				mu.Lock()
				again := taken[thread(out)]
				taken[thread(out)] = true
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
	_, l := serveOn(t, nil, serviceOf(map[string]ttrpc.Method{
		"borrow": methodOf(func(context.Context, string) (any, error) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return text(""), nil
		}),
		"exit": methodOf(func(context.Context, string) (any, error) {
			runtime.LockOSThread()
			runtime.Goexit()
			return nil, nil
		}),
		"panic": methodOf(func(context.Context, string) (any, error) {
			runtime.LockOSThread()
			panic("with the thread")
		}),
		"where": methodOf(func(context.Context, string) (any, error) { return text(here()), nil }),
	}, nil), ttrpc.WithRecovery(func(context.Context, string, any, []byte) error { return errors.New("recovered") }))
	c := newClient(t, dial(t, l))
	for range 100 {
		_, err := call(context.Background(), c, "borrow", "")
		check(t, err)
		for _, method := range []string{"exit", "panic"} {
			if _, err := call(context.Background(), c, method, ""); err == nil {
				t.Fatal("no error")
			}
		}
		wantEcho(t, c)
	}
}
