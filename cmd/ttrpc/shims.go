package main

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"
)

// shimsFlags are those of the command shims.
type shimsFlags struct {
	connectFlags
	root string
}

func shimsCommand() command {
	return command{
		name: "shims", args: "", short: "list the shims that containerd has started, and whether they answer",
		long: `TIME is how long the call Connect took, which tells the pid and changes nothing. Shims that do
not answer show why. containerd itself is not asked, and need not run.`,
		examples: []string{"sudo ttrpc shims", "sudo ttrpc call -shim default/web Task/State"},
		setup: func(fs *flag.FlagSet) action {
			s := new(shimsFlags)
			s.connectFlags.declare(fs)
			declareRoot(fs, &s.root)
			return s.run
		},
	}
}

func (s *shimsFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) != 0 {
		return usagef("shims takes no arguments; ttrpc shims -help has examples")
	}
	all, err := allBundles(s.root)
	if err != nil {
		return err
	}
	answers := make([]string, len(all))
	var asked sync.WaitGroup
	for i, b := range all {
		asked.Go(func() { answers[i] = s.ask(ctx, b) })
	}
	asked.Wait()
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAMESPACE\tID\tPROTOCOL\tPID\tTIME")
	for i, b := range all {
		version := ""
		if b.Version != 0 {
			version = fmt.Sprintf(" v%d", b.Version)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", b.namespace, b.id, b.Protocol+version, answers[i])
	}
	return w.Flush()
}

// ask returns a shim's pid and the time of its answer, or why there is none.
func (s *shimsFlags) ask(ctx context.Context, b *bundle) string {
	if b.wrong != nil {
		return fmt.Sprintf("-\t%v", b.wrong)
	}
	if b.Protocol != "ttrpc" {
		return "-\t-"
	}
	ctx, cancel := within(ctx, s.limit())
	defer cancel()
	ctx, p, err := s.dial(ctx, b.Address, false)
	if err != nil {
		return fmt.Sprintf("-\t%v", err)
	}
	defer p.close()
	if _, err := p.shimPID(ctx); err != nil { // connects
		return fmt.Sprintf("-\t%v", p.explain(err, "Connect", s.limit()))
	}
	start := time.Now()
	pid, err := p.shimPID(ctx)
	if err != nil {
		return fmt.Sprintf("-\t%v", p.explain(err, "Connect", s.limit()))
	}
	return fmt.Sprintf("%d\t%v", pid, time.Since(start).Round(time.Microsecond))
}
