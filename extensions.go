package ttrpc

import (
	"sync/atomic"
	"time"
)

// Extensions says what a client makes of the protocol's extensions (PROTOCOL.md, section 10):
// cancellation, flow control of streams, the farewell of a server that shuts down.
type Extensions uint8

const (
	// ExtensionsAuto is the default: a client uses them from the first answer on that says that its
	// server knows them. Nothing of them reaches any other server.
	ExtensionsAuto Extensions = iota
	// ExtensionsOff uses none.
	ExtensionsOff
	// ExtensionsAssumed uses them from the first call on, with a server that is known to know them.
	// With any other server it breaks calls.
	ExtensionsAssumed
)

// extState is what is known of the peer.
//
//	from        event                                                 to
//	extUnknown  client: an answer has the flag; server: Hello comes   extKnown
//	extKnown    client: a Request or Data goes out, Hello behind it   extGreeted
//
// An option sets extOff, which stays, or extKnown from the start.
type extState int32

const (
	extOff extState = iota
	extUnknown
	extKnown
	extGreeted
)

// extensions is a connection's part.
type extensions struct {
	state atomic.Int32 // an extState; the conn's lock is held where it changes

	// The conn's lock guards these three.
	pings   pings
	timer   *time.Timer // of the next keepalive ping; nil: none
	written uint64      // how far writing had come at the last one
}

func (e *extensions) is(s extState) bool { return extState(e.state.Load()) == s }
func (e *extensions) set(s extState)     { e.state.Store(int32(s)) }
func (e *extensions) isOn() bool         { return !e.is(extOff) }
func (e *extensions) peerKnows() bool    { return extState(e.state.Load()) >= extKnown }

// KnowsWindows implements the Peer of internal/flow.
func (e *extensions) KnowsWindows() bool { return e.peerKnows() }

func (x Extensions) initial() (s extState) {
	switch x {
	case ExtensionsOff:
		return extOff
	case ExtensionsAssumed:
		return extKnown
	}
	return extUnknown
}

// endLocked ends what waits for the peer.
func (e *extensions) endLocked() {
	e.pings.endAll()
	if e.timer != nil {
		e.timer.Stop()
	}
}

// pings are the Pings of a connection that are not answered.
type pings struct {
	last    uint64                   // the number of the latest, which is its data
	waiting map[uint64]chan struct{} // by number: closed at the Pong, or the connection's end
	probe   chan struct{}            // likewise, for a probe of a server that is not known; nil: none
}

// begin adds a Ping.
func (p *pings) begin() (number uint64, answered chan struct{}) {
	if p.waiting == nil {
		p.waiting = make(map[uint64]chan struct{})
	}
	p.last++
	answered = make(chan struct{})
	p.waiting[p.last] = answered
	return p.last, answered
}

// end takes the answer to a Ping, or forgets it.
func (p *pings) end(number uint64) {
	if answered := p.waiting[number]; answered != nil {
		close(answered)
		delete(p.waiting, number)
	}
}

// endProbe takes the answer to a probe, if there is one.
func (p *pings) endProbe() {
	if p.probe != nil {
		close(p.probe)
		p.probe = nil
	}
}

func (p *pings) endAll() {
	p.endProbe()
	for number := range p.waiting {
		p.end(number)
	}
}
