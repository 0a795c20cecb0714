package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/containerd/ttrpc"
	"github.com/containerd/ttrpc/cmd/ttrpc/internal/frames"
)

// recordedCall is the frames of one call, in both directions, its Request first.
type recordedCall struct {
	req    *ttrpc.Request
	frames []*frames.Frame
}

// recording is what a server answers by.
type recording struct {
	mu    sync.Mutex // guards used
	calls []*recordedCall
	used  map[*recordedCall]bool
}

func newRecording(all []*frames.Frame) *recording {
	type key struct {
		conn int
		id   uint32
	}
	r := &recording{used: map[*recordedCall]bool{}}
	byKey := map[key]*recordedCall{}
	for _, f := range all {
		k := key{f.Conn, f.ID}
		if f.Type == frames.Request && f.Dir == frames.ToServer {
			req := new(ttrpc.Request)
			if proto.Unmarshal(f.Data, req) != nil {
				continue
			}
			byKey[k] = &recordedCall{req: req}
			r.calls = append(r.calls, byKey[k])
		}
		if c := byKey[k]; c != nil && f.Type <= frames.Data {
			c.frames = append(c.frames, f)
		}
	}
	return r
}

// take returns the recorded call that fits a request best: one of the same method, rather one with
// the same message, and rather one that was not taken before.
func (r *recording) take(req *ttrpc.Request) *recordedCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	var best *recordedCall
	bestScore := 0
	for _, c := range r.calls {
		if c.req.GetService() != req.GetService() || c.req.GetMethod() != req.GetMethod() {
			continue
		}
		score := 1
		if bytes.Equal(c.req.GetPayload(), req.GetPayload()) {
			score += 2
		}
		if !r.used[c] {
			score++
		}
		if score > bestScore {
			best, bestScore = c, score
		}
	}
	if best != nil {
		r.used[best] = true
	}
	return best
}

// has reports whether a call of a service was recorded.
func (r *recording) has(service string) bool {
	return slices.ContainsFunc(r.calls, func(c *recordedCall) bool { return c.req.GetService() == service })
}

// playServer answers as recorded, until the context ends.
func playServer(ctx context.Context, address string, all []*frames.Frame, std stdio) error {
	l, err := listen(address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	r := newRecording(all)
	fmt.Fprintf(std.err, "ttrpc: listening on %s, with %d recorded calls\n", address, len(r.calls))
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return connectionError{err}
		}
		conns.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			if err := r.serve(conn); !errors.Is(err, io.EOF) && ctx.Err() == nil {
				fmt.Fprintf(std.err, "ttrpc: %v\n", err)
			}
		})
	}
}

// serve answers each frame of a client by what was recorded until the call's next one. Its error is
// io.EOF after an orderly end.
func (r *recording) serve(conn net.Conn) error {
	rest := map[uint32][]*frames.Frame{}
	for {
		f, err := frames.Read(conn)
		if err != nil {
			return err
		}
		switch f.Type {
		case frames.Request:
			call, refusal := r.find(f)
			if refusal != nil {
				_, err = conn.Write(refusal.Encode())
			} else {
				rest[f.ID], err = advance(conn, f.ID, call.frames[1:])
			}
		case frames.Data:
			rest[f.ID], err = advance(conn, f.ID, skipClient(rest[f.ID]))
		}
		if err != nil {
			return err
		}
	}
}

// find returns the recorded call, or the refusal of a request for which there is none.
func (r *recording) find(f *frames.Frame) (*recordedCall, *frames.Frame) {
	req := new(ttrpc.Request)
	text := "this Request does not parse"
	if proto.Unmarshal(f.Data, req) == nil {
		if call := r.take(req); call != nil {
			return call, nil
		}
		text = fmt.Sprintf("no call of %s/%s was recorded", req.GetService(), req.GetMethod())
		if !r.has(req.GetService()) {
			text = "service " + req.GetService() // as servers say, so that list finds out what there is
		}
	}
	st := &spb.Status{Code: int32(codes.Unimplemented), Message: text}
	data, err := proto.Marshal(&ttrpc.Response{Status: st})
	if err != nil {
		panic(err) // it is a text and a number
	}
	return nil, &frames.Frame{ID: f.ID, Type: frames.Response, Data: data}
}

// advance sends the server's frames up to the client's next one, and returns the rest.
func advance(w io.Writer, id uint32, rest []*frames.Frame) ([]*frames.Frame, error) {
	for len(rest) > 0 && rest[0].Dir == frames.ToClient {
		f := *rest[0]
		f.ID, f.Flag = id, f.Flag&^frames.Extensions // this server knows none
		if _, err := w.Write(f.Encode()); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	return rest, nil
}

// skipClient drops the client's frame that has come.
func skipClient(rest []*frames.Frame) []*frames.Frame {
	if len(rest) > 0 {
		return rest[1:]
	}
	return nil
}
