package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/debug"
)

// topFlags are those of the command top.
type topFlags struct {
	connectFlags
	n        int
	interval time.Duration
}

func topCommand() command {
	return command{
		name: "top", args: "ADDRESS", short: "show a server's connections and its calls in flight, the oldest first",
		long: `The server needs the service of package debug (github.com/containerd/ttrpc/debug). The call that
asks is among those shown.`,
		examples: []string{"ttrpc top /run/x.sock", "ttrpc top /run/x.sock -n 1"},
		setup: func(fs *flag.FlagSet) action {
			t := new(topFlags)
			t.connectFlags.declare(fs)
			fs.Var((*count)(&t.n), "n", "look `N` times; 0 is until it is interrupted")
			t.interval = 2 * time.Second
			fs.Var((*span)(&t.interval), "interval", "the `TIME` between two looks")
			return t.run
		},
	}
}

func (t *topFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) == 0 {
		return usagef("top needs an address; ttrpc top -help has examples")
	}
	if t.interval == 0 {
		return usagef("top: -interval has to be above 0")
	}
	ctx, p, err := t.dial(ctx, args[0], false)
	if err != nil {
		return err
	}
	defer p.close()
	ticker := time.NewTicker(t.interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		if err := t.look(ctx, p, std.out); err != nil {
			return err
		}
		if n == t.n {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *topFlags) look(ctx context.Context, p *peer, w io.Writer) error {
	limit := t.limit()
	ctx, cancel := within(ctx, limit)
	defer cancel()
	snapshot, err := debug.Snapshot(ctx, p.client)
	if err != nil {
		return callError(p.explain(absent(err, "ttrpc.debug.v1.Debug", ""), "what it is about", limit), plainJSON)
	}
	if isTerminal(w) {
		fmt.Fprint(w, "\x1b[H\x1b[2J") // clears it
	}
	return printTop(w, snapshot)
}

func isTerminal(w io.Writer) bool {
	if checked, ok := w.(*checkedOutput); ok {
		w = checked.w
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printTop prints a table of connections and one of calls.
func printTop(w io.Writer, s *ttrpc.Snapshot) error {
	type row struct {
		conn int
		call ttrpc.CallSnapshot
	}
	var calls []row
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CONN\tPEER\tAGE\tSTATE\tCALLS\tUNREAD\tBACKLOG")
	for i, c := range s.Conns {
		fmt.Fprintf(t, "#%d\t%s\t%s\t%s\t%d\t%d\t%d\n", i+1, c.Peer, age(s.Time, c.Since), c.State, len(c.Calls), c.Unread, c.Backlog)
		for _, call := range c.Calls {
			calls = append(calls, row{i + 1, call})
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	slices.SortStableFunc(calls, func(a, b row) int { // those that are queued have no time: last
		return cmp.Or(cmp.Compare(b2i(a.call.Since.IsZero()), b2i(b.call.Since.IsZero())), a.call.Since.Compare(b.call.Since))
	})
	fmt.Fprintln(t, "\nAGE\tMETHOD\tKIND\tSTATE\tCONN\tID")
	for _, r := range calls {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t#%d\t%d\n", age(s.Time, r.call.Since), r.call.Method, r.call.Kind, r.call.State, r.conn, r.call.ID)
	}
	return t.Flush()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func age(now, since time.Time) string {
	if since.IsZero() {
		return "-"
	}
	return now.Sub(since).Round(time.Millisecond).String()
}
