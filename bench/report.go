package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// figure is one cell of the table.
type figure struct {
	Values []float64 `json:"values"` // by round
	Median float64   `json:"median"`
	Ratio  float64   `json:"ratio,omitempty"` // median of the rounds' ratios to the baseline
	Spread float64   `json:"spread"`          // half of largest less smallest round, by the median
}

// line is one row of the table.
type line struct {
	Job     string            `json:"job"`
	Label   string            `json:"label"`
	Unit    string            `json:"unit"`
	Reach   string            `json:"reach,omitempty"`
	Base    string            `json:"base"`
	Met     *bool             `json:"met,omitempty"` // of ours
	Figures map[string]figure `json:"figures"`       // by peer
}

// report prints what was measured.
func (b *bench) report(out io.Writer, file string, took time.Duration) error {
	var lines []line
	for _, j := range b.jobs {
		for _, r := range j.rows {
			lines = append(lines, b.line(j, r))
		}
	}
	if file != "-" {
		b.print(out, lines, took)
	}
	if file == "" {
		return nil
	}
	encoded, err := json.MarshalIndent(map[string]any{"machine": machine(), "rounds": b.rounds, "rows": lines}, "", "\t")
	if err != nil {
		return err
	}
	if file == "-" {
		_, err = fmt.Fprintln(out, string(encoded))
		return err
	}
	return os.WriteFile(file, encoded, 0o644)
}

func (b *bench) line(j job, r row) line {
	l := line{Job: j.name, Label: r.label, Unit: r.unit, Reach: r.reach.String(), Base: j.pairing.base(), Figures: map[string]figure{}}
	base := b.values[cell{j.name, r.key, l.Base}]
	for _, p := range b.peers {
		values := b.values[cell{j.name, r.key, p.name}]
		if len(values) == 0 {
			continue
		}
		f := newFigure(values, base)
		l.Figures[p.name] = f
		if p.name == ours && r.reach != none && (r.reach.absolute || len(base) > 0) {
			met := r.reach.met(f.Median, f.Ratio)
			l.Met = &met
		}
	}
	return l
}

func newFigure(values, base []float64) figure {
	f := figure{Values: values, Median: median(values)}
	if f.Median != 0 {
		f.Spread = (slices.Max(values) - slices.Min(values)) / 2 / f.Median
	}
	if len(base) == len(values) { // else a round failed, and rounds can't be told apart
		var ratios []float64
		for i, v := range values {
			if base[i] != 0 {
				ratios = append(ratios, v/base[i])
			}
		}
		if len(ratios) > 0 {
			f.Ratio = median(ratios)
		}
	}
	return f
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func (r reach) String() string {
	if r == none {
		return ""
	}
	sign, times := "≤", "×"
	if r.atLeast {
		sign = "≥"
	}
	if r.absolute {
		times = ""
	}
	return sign + strconv.FormatFloat(r.bound, 'g', -1, 64) + times
}

// print writes the table, which is Markdown as well.
func (b *bench) print(out io.Writer, lines []line, took time.Duration) {
	head := []string{"figure", "reach", ""}
	for _, p := range b.peers {
		head = append(head, p.name)
	}
	table := [][]string{head, slices.Repeat([]string{"---"}, len(head))}
	met, missed := 0, 0
	for _, l := range lines {
		verdict := ""
		if l.Met != nil {
			verdict = map[bool]string{true: "ok", false: "MISS"}[*l.Met]
			met, missed = met+count(*l.Met), missed+count(!*l.Met)
		}
		cells := []string{strings.TrimSuffix(l.Label+", "+l.Unit, ", "), l.Reach, verdict}
		for _, p := range b.peers {
			f, ok := l.Figures[p.name]
			cells = append(cells, f.String(ok, p.name == l.Base))
		}
		table = append(table, cells)
	}
	printAligned(out, table)
	fmt.Fprintf(out, "\n%s\n%d rounds in %s. A cell: the median over the rounds, "+
		"× its ratio to the baseline (%s; for gogo messages %s), ± half the spread between the rounds.\n",
		machine(), b.rounds, took.Round(time.Second), baseline, gogoBase)
	fmt.Fprintf(out, "Within reach: %d, missed: %d.\n", met, missed)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (f figure) String(measured, isBase bool) string {
	if !measured {
		return "-"
	}
	s := number(f.Median)
	if f.Ratio != 0 && !isBase {
		s += " ×" + strconv.FormatFloat(f.Ratio, 'f', 2, 64)
	}
	if len(f.Values) > 1 && f.Spread >= 0.005 {
		s += fmt.Sprintf(" ±%.0f%%", f.Spread*100)
	}
	return s
}

// number has three digits or more, and no more decimals than these need.
func number(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func printAligned(out io.Writer, table [][]string) {
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, cells := range table {
		for i, c := range cells {
			fill := " "
			if c == "---" {
				c, fill = "", "-"
			}
			fmt.Fprint(out, "| ", c, strings.Repeat(fill, widths[i]-utf8.RuneCountInString(c)), " ")
		}
		fmt.Fprintln(out, "|")
	}
}
