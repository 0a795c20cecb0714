package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
)

// decodeFlags are those of the command decode.
type decodeFlags struct {
	schemaFlags
	hex bool
}

func decodeCommand() command {
	return command{
		name: "decode", args: "[FILE]", short: "show the frames in captured bytes, or in what proxy has recorded",
		long: `Without FILE, or with "-", it reads standard input. Captured bytes are those of one direction of a
connection, from a frame's beginning on. Their replies are shown as digits: the requests are not
among them.
` + traceHelp,
		examples: []string{
			"ttrpc decode calls.jsonl -binary ./server",
			"ttrpc decode -hex <<< '00 00 00 00 00 00 00 01 02 00'",
		},
		setup: func(fs *flag.FlagSet) action {
			d := new(decodeFlags)
			d.declare(fs)
			fs.BoolVar(&d.hex, "hex", false, "the bytes are hexadecimal digits, as of xxd -p")
			return d.run
		},
	}
}

func (d *decodeFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) > 1 {
		return usagef("decode takes one file; ttrpc decode -help has examples")
	}
	in := std.in
	if len(args) == 1 && args[0] != "-" {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return usageError{err}
		}
		in = bytes.NewReader(data)
	}
	set := schema.New(ctx, append(d.named(), schema.Builtin())...)
	if _, err := set.Services(); err != nil {
		return err
	}
	p := framePrinter(std.out, set)
	r := bufio.NewReader(in)
	if first, err := r.Peek(1); err == nil && first[0] == '{' {
		return eachRecorded(r, func(f *frames.Frame) error { p.Print(f); return nil })
	}
	return d.raw(r, p)
}

// raw prints the frames in bytes, which have no time.
func (d *decodeFlags) raw(in io.Reader, p *frames.Printer) error {
	if d.hex {
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		data, err := hex.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
		if err != nil {
			return usagef("-hex: %w", err)
		}
		in = bytes.NewReader(data)
	}
	dir := frames.ToClient
	for n := 1; ; n++ {
		f, err := frames.Read(in)
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return usagef("frame %d: the bytes end within it", n)
		}
		if err != nil {
			return fmt.Errorf("frame %d: %w", n, err)
		}
		if f.Type == frames.Request {
			dir = frames.ToServer
		}
		f.Time, f.Dir = time.Time{}, dir
		p.Print(f)
	}
}

// eachRecorded calls a function with each frame of a recording.
func eachRecorded(in io.Reader, each func(*frames.Frame) error) error {
	dec := json.NewDecoder(in)
	for {
		f := new(frames.Frame)
		if err := dec.Decode(f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return usagef("this is no recording of ttrpc proxy: %w", err)
		}
		if f.Type == 0 {
			return usagef("this is no recording of ttrpc proxy: there is JSON in it that is no frame")
		}
		if err := each(f); err != nil {
			return err
		}
	}
}
