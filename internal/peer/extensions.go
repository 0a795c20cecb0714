// Package peer keeps what a connection knows of its other end: whether that knows the protocol's
// extensions, and whether it is alive. It asks by frames that belong to no call, and knows no
// calls.
package peer

import "sync/atomic"

// State is what is known of the peer's extensions.
//
//	from     event                                                 to
//	Unknown  client: an answer has the flag; server: Hello comes   Known
//	Known    client: a Request or Data goes out, Hello behind it   Greeted
//
// An option sets Off, which stays, or Known from the start.
type State int32

// The states.
const (
	Off     State = iota // this side uses no extensions
	Unknown              // nothing has told yet that the peer knows them
	Known
	Greeted // the peer knows, and has been told that this side does
)

// Extensions has the State of a connection. Where a change goes with frames, or with calls, the
// conn's lock is held around both.
type Extensions struct{ state atomic.Int32 }

// Init sets what is known at the start: until then it is Off.
func (e *Extensions) Init(s State) { e.state.Store(int32(s)) }

func (e *Extensions) get() State { return State(e.state.Load()) }

// Used reports whether this side uses extensions.
func (e *Extensions) Used() bool { return e.get() != Off }

// Known reports whether the peer knows extensions.
func (e *Extensions) Known() bool { return e.get() >= Known }

// KnowsWindows implements the Peer of internal/flow.
func (e *Extensions) KnowsWindows() bool { return e.Known() }

// Learn says that the peer knows extensions. It reports whether that is news.
func (e *Extensions) Learn() (first bool) { return e.move(Unknown, Known) }

// Greet reports whether the peer is to be told that this side knows extensions, which is once.
func (e *Extensions) Greet() (due bool) { return e.move(Known, Greeted) }

func (e *Extensions) move(from, to State) bool {
	return e.get() == from && e.state.CompareAndSwap(int32(from), int32(to))
}

// String is what a snapshot shows.
func (e *Extensions) String() string {
	return [...]string{"off", "unknown", "known", "known"}[e.get()]
}
