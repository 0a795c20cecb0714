package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/containerd/ttrpc/interop/internal/peer"
)

// pairing is what came of one client against one server.
type pairing struct {
	client, server string
	results        []peer.Result
	err            error
}

// wrong returns the results that are neither as wanted nor a known fault.
func (p pairing) wrong() []peer.Result {
	return slices.DeleteFunc(slices.Clone(p.results), func(r peer.Result) bool {
		return r.Got == r.Want || peer.Known(p.client, p.server, r) != nil
	})
}

// group is the first part of a scenario's name: the column it counts in.
func group(scenario string) string {
	name, _, _ := strings.Cut(scenario, "/")
	return name
}

// printTable prints a line for each pairing and a column for each group of scenarios.
func printTable(w io.Writer, all []pairing) {
	var groups []string
	for _, p := range all {
		for _, r := range p.results {
			if g := group(r.Scenario); !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "client\tserver\t%s\n", strings.Join(groups, "\t"))
	notes := &notes{}
	for _, p := range all {
		fmt.Fprintf(t, "%s\t%s", p.client, p.server)
		for _, g := range groups {
			fmt.Fprintf(t, "\t%s", p.cell(g, notes))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	notes.print(w)
}

// cell says how many scenarios of a group went right, and numbers the notes on others.
func (p pairing) cell(g string, notes *notes) string {
	right, total := 0, 0
	marks := ""
	for _, r := range p.results {
		if group(r.Scenario) != g {
			continue
		}
		total++
		if r.Got == r.Want {
			right++
		} else if f := peer.Known(p.client, p.server, r); f != nil {
			marks += fmt.Sprintf(" [%d]", notes.number(r.Scenario+": "+f.Why))
		} else {
			marks += " WRONG"
		}
	}
	switch {
	case p.err != nil:
		return "ERROR"
	case total == 0:
		return "-"
	case right == total:
		return fmt.Sprint(right, " ok")
	}
	return fmt.Sprintf("%d of %d%s", right, total, marks)
}

// notes numbers the explanations below a table.
type notes struct{ texts []string }

func (n *notes) number(text string) int {
	i := slices.Index(n.texts, text)
	if i < 0 {
		i = len(n.texts)
		n.texts = append(n.texts, text)
	}
	return i + 1
}

func (n *notes) print(w io.Writer) {
	for i, text := range n.texts {
		fmt.Fprintf(w, "[%d] known fault of the original: %s\n", i+1, text)
	}
}
