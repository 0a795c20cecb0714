package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/schema"
	"github.com/containerd/ttrpc/internal/dialer"
)

// proxyFlags are those of the command proxy.
type proxyFlags struct {
	viewFlags
	record string
}

func proxyCommand() command {
	return command{
		name: "proxy", args: "LISTEN ADDRESS", short: "stand between clients and a server, and show each frame",
		long: "LISTEN is a path, unix:PATH, @NAME or tcp:HOST:PORT. It ends when it is interrupted.\n" + traceHelp,
		examples: []string{
			"ttrpc proxy /tmp/x.sock /run/x.sock",
			"ttrpc proxy tcp:127.0.0.1:9000 vsock:3:1024 -record calls.jsonl",
		},
		setup: func(fs *flag.FlagSet) action {
			p := new(proxyFlags)
			p.declare(fs)
			fs.Lookup("H").Usage = "metadata, `KEY:VALUE`, of the calls that ask for the schema"
			fs.StringVar(&p.record, "record", "", "write the frames to a `FILE`, a line of JSON each, for replay and decode")
			return p.run
		},
	}
}

// listen listens on an address, which is one of the kinds that a server can have.
func listen(address string) (net.Listener, error) {
	var l net.Listener
	var err error
	if rest, ok := strings.CutPrefix(address, "tcp:"); ok {
		l, err = net.Listen("tcp", strings.TrimPrefix(rest, "//"))
	} else {
		l, err = ttrpc.ListenUnix(strings.TrimPrefix(strings.TrimPrefix(address, "unix:"), "//"))
	}
	if err != nil {
		return nil, connectionError{fmt.Errorf("listen on %s: %w", address, err)}
	}
	return l, nil
}

// schemaOf returns what is found through a server, all of it: nothing can be asked later, when the
// frames of somebody else's calls are shown.
func (v *viewFlags) schemaOf(ctx context.Context, address string) (*schema.Set, error) {
	_, set, done, err := v.open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer done()
	_, err = set.Services()
	return set, err
}

func (f *proxyFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) != 2 {
		return usagef("proxy needs an address to listen on, and the server's; ttrpc proxy -help has examples")
	}
	dial, err := dialer.Of(args[1])
	if err != nil {
		return badAddress(err)
	}
	slow := slowTypes(std.err, args[1])
	set, err := f.schemaOf(ctx, args[1])
	slow.Stop()
	if err != nil {
		return err
	}
	l, err := listen(args[0])
	if err != nil {
		return err
	}
	x := &proxy{
		dial:   func(ctx context.Context) (net.Conn, error) { return dial(ctx, args[1]) },
		stderr: std.err, printer: framePrinter(std.out, set),
	}
	fmt.Fprintf(std.err, "ttrpc: listening on %s\n", args[0])
	if f.record == "" {
		return x.serve(ctx, l)
	}
	file, err := os.Create(f.record)
	if err != nil {
		l.Close()
		return usageError{err}
	}
	x.recorder = json.NewEncoder(file)
	return errors.Join(x.serve(ctx, l), file.Close())
}

// proxy copies bytes between pairs of connections, and sees the frames in them.
type proxy struct {
	dial    func(context.Context) (net.Conn, error)
	stderr  io.Writer
	printer *frames.Printer

	mu       sync.Mutex    // guards recorder, so that its order is the printer's
	recorder *json.Encoder // nil where nothing is recorded
}

// serve ends with the context, and closes l.
func (x *proxy) serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	for n := 1; ; n++ {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return connectionError{err}
		}
		conns.Go(func() { x.serveConn(ctx, n, conn) })
	}
}

// serveConn ends with either connection: one that is closed in one direction counts as gone.
func (x *proxy) serveConn(ctx context.Context, n int, client net.Conn) {
	defer client.Close()
	server, err := x.dial(ctx)
	if err != nil {
		fmt.Fprintf(x.stderr, "ttrpc: connection %d: %v\n", n, err)
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	var both sync.WaitGroup
	half := func(to, from net.Conn, dir string) {
		defer to.Close()
		defer from.Close()
		if _, err := io.Copy(io.MultiWriter(x.see(n, dir), to), from); err != nil && !errors.Is(err, net.ErrClosed) {
			fmt.Fprintf(x.stderr, "ttrpc: connection %d: %v\n", n, err)
		}
	}
	both.Go(func() { half(server, client, frames.ToServer) })
	both.Go(func() { half(client, server, frames.ToClient) })
	both.Wait()
}

// see returns a writer that finds the frames of one direction.
func (x *proxy) see(n int, dir string) io.Writer {
	return &frames.Splitter{
		Each: func(f *frames.Frame) {
			x.mu.Lock()
			defer x.mu.Unlock()
			f.Conn, f.Dir = n, dir
			x.printer.Print(f)
			if x.recorder != nil {
				if err := x.recorder.Encode(f); err != nil {
					fmt.Fprintf(x.stderr, "ttrpc: -record: %v\n", err)
				}
			}
		},
		Wrong: func(data []byte) { x.printer.Wrong(dir, data) },
	}
}
