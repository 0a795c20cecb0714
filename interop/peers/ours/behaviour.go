package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/status"
)

// A probe looks at one corner of the public API and says what it saw. All probes of all
// releases are this one source, so two outputs can be compared line by line.
type probe struct {
	name string
	run  func(*report)
}

// probePatience bounds one probe; one that takes longer is reported as a hang.
const probePatience = patience(20 * time.Second)

// probesAtOnce run beside each other; most of them wait for silence.
const probesAtOnce = 12

// allProbes returns every probe in the order of printing.
func allProbes() []probe {
	var all []probe
	for _, group := range [][]probe{
		errorProbes, oversizedProbes, metadataProbes, configProbes, registerProbes, lifecycleProbes,
		callProbes, codecProbes, mappingProbes, interceptorProbes, interceptorInfoProbes, wireMetadataProbes,
		streamProbes, streamFaultProbes, rawProbes, handshakeProbes,
	} {
		all = append(all, group...)
	}
	return all
}

// report collects the lines of one probe.
type report struct {
	name string

	mu  sync.Mutex // guards out
	out io.Writer
}

// say prints one observation; values of type error are described in full.
func (r *report) say(what string, values ...any) {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = describe(v)
	}
	r.line("%s = %s", strings.ReplaceAll(what, " = ", "="), strings.Join(parts, ", "))
}

func (r *report) line(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, r.name+": "+format+"\n", args...)
}

// guard says what f returns or panics with.
func (r *report) guard(what string, f func() any) {
	var v any
	if p := caught(func() { v = f() }); p != nil {
		v = p
	}
	r.say(what, v)
}

// apart runs f with reports of their own side by side, and joins them in order.
func (r *report) apart(n int, f func(r *report, i int)) {
	parts := make([]strings.Builder, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(&report{name: r.name, out: &parts[i]}, i) })
	}
	all.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range n {
		io.WriteString(r.out, parts[i].String())
	}
}

func init() { modes["behaviour"] = behave }

// behave runs the probes whose names begin with a prefix and prints what they saw.
func behave(args []string) error {
	out := os.Stdout
	flags := flag.NewFlagSet("behaviour", flag.ContinueOnError)
	prefix := flags.String("run", "", "only probes whose names begin so")
	inside := flags.Bool("inside", false, "run the probes in this process and not each in one of its own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var chosen []probe
	for _, p := range allProbes() {
		if strings.HasPrefix(p.name+"/", *prefix) {
			chosen = append(chosen, p)
		}
	}
	if *inside {
		for _, p := range chosen {
			runProbe(p, out)
		}
		return nil
	}
	return runApart(chosen, out)
}

// runProbe runs one probe, and says so if it panics or hangs.
func runProbe(p probe, out io.Writer) {
	r := &report{name: p.name, out: out}
	if !probePatience.run(func() {
		defer func() {
			if v := recover(); v != nil {
				r.say("panic", fmt.Sprint(v))
			}
		}()
		p.run(r)
	}) {
		r.line("hangs")
	}
}

// runApart runs every probe in a process of its own, for some of them end it, several at
// once, and prints them in order.
func runApart(probes []probe, out io.Writer) error {
	gate := make(chan struct{}, probesAtOnce)
	results := make([]chan string, len(probes))
	for i, p := range probes {
		results[i] = make(chan string, 1)
		go func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			results[i] <- inProcess(p)
		}()
	}
	for _, result := range results {
		if _, err := io.WriteString(out, <-result); err != nil {
			return err
		}
	}
	return nil
}

// inProcess runs one probe in a new process and says how that ended.
func inProcess(p probe) string {
	ctx, cancel := (2 * probePatience).context()
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "behaviour", "-inside", "-run", p.name+"/")
	var out, fault strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return fmt.Sprintf("%s%s: process ends with %v: %s\n", out.String(), p.name, err, panicLine(fault.String()))
	}
	return out.String()
}

// panicLine returns the line of a crash that says what happened.
func panicLine(trace string) string {
	for line := range strings.Lines(trace) {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return strings.TrimSpace(line)
		}
	}
	return "no panic printed"
}

// known are the errors that user code compares with.
var known = []struct {
	name string
	err  error
}{
	{"ErrClosed", ttrpc.ErrClosed},
	{"ErrServerClosed", ttrpc.ErrServerClosed},
	{"ErrProtocol", ttrpc.ErrProtocol},
	{"ErrStreamClosed", ttrpc.ErrStreamClosed},
	{"EOF", io.EOF},
	{"Canceled", context.Canceled},
	{"DeadlineExceeded", context.DeadlineExceeded},
}

// describe prints a value as a reader can compare it: an error with its status and the
// known errors that it is or wraps.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case error:
		return describeError(v)
	case string:
		return fmt.Sprintf("%q", tame(v))
	case fmt.Stringer:
		return tame(v.String())
	default:
		return tame(fmt.Sprintf("%v", v))
	}
}

func describeError(err error) string {
	text := fmt.Sprintf("%q", tame(err.Error()))
	for _, k := range known {
		switch {
		case err == k.err:
			text += " ==" + k.name
		case errors.Is(err, k.err):
			text += " is:" + k.name
		}
	}
	if s, ok := status.FromError(err); ok {
		text += fmt.Sprintf(" status:%v", s.Code())
		if s.Message() != err.Error() {
			text += fmt.Sprintf("(%q)", tame(s.Message()))
		}
		for _, d := range s.Details() {
			text += fmt.Sprintf(" detail:%T", d)
		}
	}
	var big *ttrpc.OversizedMessageErr
	if errors.As(err, &big) {
		text += fmt.Sprintf(" oversized:%d>%d", big.RejectedLength(), big.MaximumLength())
	}
	return text
}

// tame makes a text the same in every run: the protobuf module varies its blanks on
// purpose, and sockets carry names of their own.
func tame(s string) string {
	s = strings.ReplaceAll(s, "\u00a0", " ")
	s = strings.ReplaceAll(s, "  ", " ")
	return strings.ReplaceAll(s, tempDir(), "TMP")
}
