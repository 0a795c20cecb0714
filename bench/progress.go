package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress says on standard error what goes on: a terminal's last line is written over, anything
// else gets a line of its own every ten seconds.
type progress struct {
	out      io.Writer
	terminal bool
	last     time.Time
}

func newProgress() *progress {
	info, err := os.Stderr.Stat()
	return &progress{out: os.Stderr, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch {
	case p.terminal:
		fmt.Fprint(p.out, "\r\033[K", text)
	case text != "" && time.Since(p.last) > 10*time.Second:
		p.last = time.Now()
		fmt.Fprintln(p.out, text)
	}
}

// done clears the terminal's line.
func (p *progress) done() { p.say("") }
