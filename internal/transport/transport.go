// Package transport moves ttrpc frames over a net.Conn: it reads them, writes them without blocking
// where that can be had, and knows what kind of conn it has. It knows no calls.
//
// Nobody but the one who has bytes writes them: Post puts a frame behind the backlog, and what it
// returns is to be flushed by whoever has posted. Reading has one user at a time,
// whom a Gate lets in.
package transport

import (
	"net"
	"time"
)

// LingerTimeout is how long a side that has closed reads on for what the peer may still have to
// say.
const LingerTimeout = time.Second

// Config is what a Transport needs to know. It is plain data.
type Config struct {
	MaxData int // bytes of data accepted in a frame
	Backlog int // unwritten bytes from which on WaitSpace waits

	// First is called by the reader with the bytes with which the peer has begun: again with each
	// read, up to the one that completes a header. Its error is Recv's, and no frame is given out.
	First func(first []byte) error
	// OnFail is called once, without locks, when a write has failed,
	// or when all is written after CloseWhenFlushed.
	OnFail func(error)
}

// Transport is a net.Conn that carries frames. Its two halves are the reader, which has one user at
// a time, and the backlog of what is to be written, which is for everybody and has a lock of its
// own. Its methods are safe for concurrent use where they do not say who may call them.
type Transport struct {
	reader
	backlog
	attempt attempt // used by the one who writes the backlog
	batching

	onFail func(error)
}

// New returns a Transport on conn, which stays the caller's to close.
func New(conn net.Conn, c Config) *Transport {
	t := &Transport{onFail: c.OnFail}
	if c.First == nil {
		c.First = func([]byte) error { return nil }
	}
	kind, raw := kindOf(conn)
	t.reader.init(conn, kind, raw, c)
	t.reader.batch = &t.batching
	t.backlog.limit = c.Backlog
	t.attempt.init(conn, kind, raw)
	return t
}
