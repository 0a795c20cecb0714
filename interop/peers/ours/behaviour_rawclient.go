package main

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"
)

// clientSends shows the frames that a client puts on the wire.
func clientSends(r *report) {
	all := []struct {
		what string
		do   func(*report, *ttrpc.Client, net.Conn)
	}{
		{"a call", sentCall("a")},
		{"a call with an empty message", sentCall("")},
		{"a server stream", sentStream(toClient, text("a"))},
		{"a server stream without a request", sentStream(toClient, nil)},
		{"a client stream", sentStream(toServer, nil)},
		{"a client stream with a first message", sentStream(toServer, text("a"))},
		{"a client stream with an empty first message", sentStream(toServer, text(""))},
		{"both", sentStream(bothWays, nil)},
		{"both with a first message", sentStream(bothWays, text("a"))},
		{"neither", sentStream(&ttrpc.StreamDesc{}, text("a"))},
	}
	r.apart(len(all), func(r *report, i int) {
		theirs, mine := socketPair()
		defer theirs.Close()
		c := ttrpc.NewClient(mine)
		defer c.Close()
		r.name += "/" + all[i].what
		all[i].do(r, c, theirs)
	})
}

// sentCall makes a call that is cancelled later.
func sentCall(arg string) func(*report, *ttrpc.Client, net.Conn) {
	return func(r *report, c *ttrpc.Client, theirs net.Conn) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go c.Call(ttrpc.WithMetadata(ctx, ttrpc.MD{"k": {"1", "2"}}), "s", "m", text(arg), text(""))
		r.say("Call", readFrames(theirs))
		cancel()
		r.say("cancel", readFrames(theirs))
	}
}

// sentStream opens a stream, sends, closes and cancels.
func sentStream(desc *ttrpc.StreamDesc, req any) func(*report, *ttrpc.Client, net.Conn) {
	return func(r *report, c *ttrpc.Client, theirs net.Conn) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s, err := c.NewStream(ctx, desc, "s", "m", req)
		r.say("NewStream", err, readFrames(theirs))
		r.say("SendMsg", s.SendMsg(text("b")), readFrames(theirs))
		r.say("SendMsg of an empty message", s.SendMsg(text("")), readFrames(theirs))
		r.say("CloseSend", s.CloseSend(), readFrames(theirs))
		cancel()
		r.say("cancel", readFrames(theirs))
	}
}

// clientTakes shows what a client makes of odd answers.
func clientTakes(r *report) {
	all := []frameProgram{
		{"an empty response", [][]byte{frame(1, 2, 0, nil)}},
		{"flags on the response", [][]byte{frame(1, 2, 0xff, nil)}},
		{"a response for another id first", [][]byte{frame(7, 2, 0, nil), frame(1, 2, 0, nil)}},
		{"a response for an even id first", [][]byte{frame(2, 2, 0, nil), frame(1, 2, 0, nil)}},
		{"a request first", [][]byte{frame(1, 1, 0, nil), frame(1, 2, 0, nil)}},
		{"an unknown type first", [][]byte{frame(1, 9, 0, nil), frame(1, 2, 0, nil)}},
		{"a response that does not parse", [][]byte{frame(1, 2, 0, []byte{0xff})}},
		{"data as answer", [][]byte{frame(1, 3, 0, nil), frame(1, 2, 0, nil)}},
		{"data and end as answer", [][]byte{frame(1, 3, 5, nil)}},
		{"a response over the limit", [][]byte{frame(1, 2, 0, make([]byte, 4<<20+1))}},
		{"a status with code 0", [][]byte{frame(1, 2, 0, []byte{0x0a, 0x00})}},
		{"a status and a payload", [][]byte{frame(1, 2, 0, []byte{0x0a, 0x02, 0x08, 0x05, 0x12, 0x02, 0x0a, 0x00})}},
	}
	r.apart(len(all), func(r *report, i int) {
		theirs, mine := socketPair()
		client := ttrpc.NewClient(mine)
		done := make(chan error, 1)
		go func() {
			ctx, cancel := (probePatience / 4).context()
			defer cancel()
			done <- client.Call(ctx, "s", "m", text("a"), text(""))
		}()
		theirs.Read(make([]byte, 4096))
		for _, f := range all[i].frames {
			theirs.Write(f)
		}
		r.say(all[i].what, <-done)
		client.Close()
		theirs.Close()
	})
}
