package conn

// State is how far a connection has come.
//
//	from       event                                          to
//	Handshake  OpenLocked: the handshake has succeeded        Open
//	Open       DrainLocked: its server shuts down             Draining
//	Draining   CloseIfDoneLocked: the last call is answered   Flushing
//	Draining   LeaveLocked: Dial's client calls elsewhere     Left
//	any        Close: all is written, a failure, the user's   Closed
//
// A client's connection is never Flushing, and what makes it Draining is a GoAway, or its client,
// where the server has refused a call: Dial's client leaves such a connection then.
type State uint8

// The states.
const (
	Open State = iota
	Handshake
	Draining // no further calls; closes when the last is answered
	Flushing // closes when the last answer is written
	Left     // no further calls; the client closes it when the last has ended
	Closed
)

// String is what a snapshot shows.
func (s State) String() string {
	return [...]string{"open", "handshake", "draining", "flushing", "draining", "closed"}[s]
}

// StateLocked returns how far the connection has come. It needs the lock.
func (c *Conn) StateLocked() State { return c.state }

// CauseLocked returns why the connection is closed, or nil. It needs the lock.
func (c *Conn) CauseLocked() error { return c.cause }

// Cause is why the connection is closed, or nil.
func (c *Conn) Cause() error {
	c.Lock()
	defer c.Unlock()
	return c.cause
}

// DrainLocked says that there are no further calls, and reports whether that is news. It needs the
// lock.
func (c *Conn) DrainLocked() (first bool) {
	if c.state != Open {
		return false
	}
	c.state = Draining
	return true
}

// LeaveLocked says that further calls are made on another connection than this, which drains. It
// needs the lock.
func (c *Conn) LeaveLocked() {
	if c.state == Draining {
		c.state = Left
	}
}

// CloseIfDoneLocked closes a connection that drains when its last call has been answered. It needs
// the lock.
func (c *Conn) CloseIfDoneLocked() {
	if c.state == Draining && len(c.calls) == 0 {
		c.state = Flushing
		c.t.CloseWhenFlushed()
	}
}

// Close marks the connection closed, once: the first cause counts, and Close reports whether this
// is it. Those who ask for a sign of life get ended. The calls in flight are claimed: each is given
// to claimed, which is called with the lock held. The net.Conn is the role's to close.
func (c *Conn) Close(cause, ended error, claimed func(Call)) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == Closed {
		return false
	}
	c.state, c.cause = Closed, cause
	for _, call := range c.calls {
		claimed(call)
	}
	c.calls = nil
	c.alive.End(ended)
	c.inflow.Close()
	return true
}
