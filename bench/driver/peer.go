// Package driver measures one RPC implementation, its client in this process and its server in
// another, both on one unix socket. It knows no implementation: a peer's program hands it a [Peer]
// and calls [Main].
//
// # What the harness allocates
//
// The allocation figures are whole processes' counts over many calls, divided by the calls, so they
// hold what any program that makes such a call allocates as well:
//
//   - client, each call: the response message and its string (2);
//   - server, each call: the request message, its string, and the response message that the
//     handler returns (3);
//   - client, with a deadline: what context.WithTimeout allocates (4, and 1 more where its Done
//     is asked for);
//   - client, with metadata: a map of one key with one value, built for the call, and the
//     context that carries it (4); the handler looks the value up;
//   - a ping-pong pair: the client's received message and its string (2), the handler's
//     received message, its string, and the message it sends (3).
//
// The request message of the client is built once and used for every call.
package driver

import (
	"context"
	"fmt"
	"net"
	"os"
)

// Text is what every call of the small message carries; peers check that it comes back.
const Text = "a line of text to be echoed back"

// Peer is one implementation: how it serves the bench's service, and how it dials it.
type Peer struct {
	Serve func(l net.Listener) error
	Dial  func(address string) (Client, error)

	Serial    bool // a connection carries one call at a time: nothing can go on beside a stuck one
	NoContext bool // calls take no notice of a context

	// DialPlain connects without what Dial has beyond the protocol of old, and Extended says whether
	// a connection has that. They are nil where there is no such choice.
	DialPlain func(address string) (Client, error)
	Extended  func(Client) bool
}

// Client is one connection of a peer. Each method is one whole call with an answer that was
// checked. What a peer can do beyond that it says by implementing the other interfaces.
type Client interface {
	Echo(ctx context.Context) error
	Close() error
}

// MetaEchoer sends one metadata value with the call; the handler looks it up.
type MetaEchoer interface {
	EchoMeta(ctx context.Context) error
}

// BlobEchoer echoes a body.
type BlobEchoer interface {
	EchoBlob(ctx context.Context, body []byte) error
}

// Holder makes calls whose handlers return when [Hold] does.
type Holder interface {
	Hold(ctx context.Context) error
}

// Awaiter makes calls whose handlers return what [Await] does.
type Awaiter interface {
	Await(ctx context.Context) error
}

// Computer makes calls whose handlers call [Compute].
type Computer interface {
	Compute(ctx context.Context) error
}

// Streamer opens streams.
type Streamer interface {
	Chat(ctx context.Context) (Chat, error)
	Feed(ctx context.Context, count, size int) (Feed, error)
}

// Chat is a stream in both directions whose server echoes each message.
type Chat interface {
	Ping() error   // sends one message and receives its echo
	Finish() error // closes the sending side and receives the end
}

// Feed is a server stream; Next returns the size of the next message, and io.EOF at the end.
type Feed interface {
	Next() (int, error)
}

// Main runs the peer's program: "server SOCKET" until it is killed, or "client SOCKET JSON-encoded
// Job".
func Main(p Peer) {
	stop := profile()
	err := run(p, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Args[0]+":", err)
		os.Exit(1)
	}
}

func run(p Peer, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "server":
		return serve(p, args[1])
	case len(args) == 3 && args[0] == "client":
		return measure(p, args[1], args[2])
	}
	return fmt.Errorf("want server SOCKET or client SOCKET JOB, not %q", args)
}
