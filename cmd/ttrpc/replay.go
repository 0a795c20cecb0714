package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
	"github.com/containerd/ttrpc/internal/dialer"
)

// replayFlags are those of the command replay.
type replayFlags struct {
	listen  string
	timeout time.Duration
}

func replayCommand() command {
	return command{
		name: "replay", args: "FILE [ADDRESS]", short: "play what proxy -record has recorded, as its clients or as its server",
		long: `With ADDRESS it sends what the clients have sent, one connection after the other, and compares the
answers: the exit code is 1 when one differs. With -listen it answers as the server did.`,
		examples: []string{
			"ttrpc replay calls.jsonl /run/x.sock",
			"ttrpc replay calls.jsonl -listen /tmp/x.sock",
		},
		setup: func(fs *flag.FlagSet) action {
			r := new(replayFlags)
			fs.StringVar(&r.listen, "listen", "", "play the server, on `LISTEN`: a path, unix:PATH, @NAME or tcp:HOST:PORT")
			r.timeout = patience
			fs.Var((*span)(&r.timeout), "timeout", "the `TIME` that an answer may take")
			return r.run
		},
	}
}

func (r *replayFlags) run(ctx context.Context, args []string, std stdio) error {
	if len(args) == 0 || (len(args) == 1) != (r.listen != "") || len(args) > 2 {
		return usagef("replay needs a file, and either an address or -listen; ttrpc replay -help has examples")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return usageError{err}
	}
	var all []*frames.Frame
	err = eachRecorded(bytes.NewReader(data), func(f *frames.Frame) error { all = append(all, f); return nil })
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return usagef("there are no frames in %s", args[0])
	}
	if r.listen != "" {
		return playServer(ctx, r.listen, all, std)
	}
	return r.playClients(ctx, args[1], all, std)
}

// playClients plays the connections in the order in which they began.
func (r *replayFlags) playClients(ctx context.Context, address string, all []*frames.Frame, std stdio) error {
	dial, err := dialer.Of(address)
	if err != nil {
		return badAddress(err)
	}
	byConn := map[int][]*frames.Frame{}
	var order []int
	for _, f := range all {
		if byConn[f.Conn] == nil {
			order = append(order, f.Conn)
		}
		byConn[f.Conn] = append(byConn[f.Conn], f)
	}
	same, different := 0, 0
	for _, n := range order {
		conn, err := dial(ctx, address)
		if err != nil {
			return (&peer{address: address}).broken(fmt.Errorf("no connection to %s: %w", address, err))
		}
		p := &player{
			conn: conn, timeout: r.timeout, out: std.out,
			waiting: map[uint32][]*frames.Frame{}, method: map[uint32]string{},
		}
		err = p.play(ctx, byConn[n])
		conn.Close()
		if err != nil {
			return connectionError{fmt.Errorf("%s, connection %d of the recording: %w", address, n, err)}
		}
		same, different = same+p.same, different+p.different
	}
	fmt.Fprintf(std.out, "%d answers are the same, %d differ\n", same, different)
	if different > 0 {
		return fmt.Errorf("%s does not answer as recorded", address)
	}
	return nil
}

// player plays the client of one connection.
type player struct {
	conn            net.Conn
	timeout         time.Duration
	out             io.Writer
	waiting         map[uint32][]*frames.Frame // what came before it was looked for, by its id
	method          map[uint32]string          // of each call
	same, different int
}

func (p *player) play(ctx context.Context, recorded []*frames.Frame) error {
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	for _, want := range recorded {
		if want.Dir == frames.ToServer {
			if req := new(ttrpc.Request); want.Type == frames.Request && proto.Unmarshal(want.Data, req) == nil {
				p.method[want.ID] = " of " + req.GetService() + "/" + req.GetMethod()
			}
			if _, err := p.conn.Write(want.Encode()); err != nil {
				return err
			}
			continue
		}
		if want.Type != frames.Response && want.Type != frames.Data {
			continue // a matter of the moment
		}
		got, err := p.next(want.ID)
		if err != nil {
			return fmt.Errorf("the answer to call %d%s: %w", want.ID, p.method[want.ID], p.reason(ctx, err))
		}
		p.compare(got, want)
	}
	return nil
}

// reason says what the failure to read means.
func (p *player) reason(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return worded{ctx.Err(), "interrupted"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return worded{err, fmt.Sprintf("nothing has come for %v (-timeout)", p.timeout)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return worded{err, "the server has closed the connection"}
	}
	return err
}

// next returns the next frame of a call: calls are answered in any order.
func (p *player) next(id uint32) (*frames.Frame, error) {
	for len(p.waiting[id]) == 0 {
		if err := p.conn.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
			return nil, err
		}
		f, err := frames.Read(p.conn)
		if err != nil {
			return nil, err
		}
		if f.Type == frames.Response || f.Type == frames.Data {
			p.waiting[f.ID] = append(p.waiting[f.ID], f)
		}
	}
	f := p.waiting[id][0]
	p.waiting[id] = p.waiting[id][1:]
	return f, nil
}

func (p *player) compare(got, want *frames.Frame) {
	const flags = ^uint8(frames.Extensions) // that one tells of the server, not of the call
	if got.Type == want.Type && got.Flag&flags == want.Flag&flags && bytes.Equal(got.Data, want.Data) {
		p.same++
		return
	}
	p.different++
	fmt.Fprintf(p.out, "call %d is answered by %s flags=%s %.100q, and was by %s flags=%s %.100q\n",
		want.ID, got.TypeName(), got.FlagNames(), got.Data, want.TypeName(), want.FlagNames(), want.Data)
}
