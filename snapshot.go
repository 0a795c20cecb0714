package ttrpc

import (
	"fmt"
	"net"
	"sort"
	"strings"
	"time"

	"github.com/containerd/ttrpc/internal/conn"
	"github.com/containerd/ttrpc/internal/peercred"
	"github.com/containerd/ttrpc/internal/transport"
)

// Snapshot is what a [Server] or [Client] was about at one moment, for debugging: its JSON and its
// String are for people, and may have more in later versions. Each connection is looked at by
// itself, so calls of two connections need not have been in flight at the same time.
type Snapshot struct {
	Time  time.Time      `json:"time"`
	State string         `json:"state,omitempty"` // of a client of Dial, a [ConnState]; else empty
	Conns []ConnSnapshot `json:"conns"`           // the oldest first
}

// ConnSnapshot is a connection.
type ConnSnapshot struct {
	Peer  string    `json:"peer"`  // the address of the other end, and the process where it is known
	Since time.Time `json:"since"` // when it was accepted, or the client was made
	// State is "handshake", "open", "draining" (it takes no further calls), "flushing" (its last
	// answer is being written) or "closed".
	State string `json:"state"`
	// Extensions is "off", "unknown" (nothing has told yet that the peer knows the protocol's
	// extensions) or "known".
	Extensions string `json:"extensions"`
	// Unread is bytes of streams' messages that were received and not taken.
	Unread  int            `json:"unread"`
	Backlog int            `json:"backlog"` // bytes that wait to be written
	Calls   []CallSnapshot `json:"calls"`   // in flight, in the order of their begin
	// Handlers is how many of a server's handlers have not returned, also those whose call has been
	// cancelled.
	Handlers int `json:"handlers,omitempty"`
}

// CallSnapshot is a call in flight.
type CallSnapshot struct {
	ID     uint32 `json:"id"` // its stream id
	Method string `json:"method"`
	Kind   string `json:"kind"` // "unary", "client stream", "server stream" or "bidi stream"
	// State is a server's "queued" or "running", a client's "waiting" for a unary call, and "open" for
	// a stream.
	State string `json:"state"`
	// Since is when the call began to run on a server, or was sent by a client. It is zero for a call
	// that is queued, and for a unary call of a client without [WithClientStats], which looks at no
	// clock.
	Since  time.Time       `json:"since,omitzero"`
	Stream *StreamSnapshot `json:"stream,omitempty"` // nil for a unary call
}

// StreamSnapshot is how far a stream has come.
type StreamSnapshot struct {
	Ended    bool           `json:"ended"`  // the peer sends no more messages
	Unread   int            `json:"unread"` // bytes received and not taken
	Sent     WindowSnapshot `json:"sent"`
	Received WindowSnapshot `json:"received"`
}

// WindowSnapshot is one direction of a stream: bytes of messages with their headers.
type WindowSnapshot struct {
	Bytes uint64 `json:"bytes"`
	// Limited says that the sender is under flow control, and Limit how many bytes it may have sent
	// altogether when it begins a message.
	Limited bool   `json:"limited"`
	Limit   uint64 `json:"limit,omitempty"`
}

// Snapshot returns what the server is about: its connections and the calls that run on them. It
// takes each connection's lock for as long as it takes to look at its calls.
func (s *Server) Snapshot() Snapshot { return snapshotOf(s.conns.Open(), "") }

// Snapshot returns what the client is about: its connection, or connections where [Dial] has made
// it, and the calls that are in flight on them. Calls that wait for a connection are in none.
func (c *Client) Snapshot() Snapshot {
	if c.redial == nil {
		return snapshotOf([]*Client{c}, "")
	}
	state, clients := c.redial.Connections()
	return snapshotOf(clients, ConnState(state).String())
}

// snapshotOf looks at connections.
func snapshotOf[C interface {
	snapshot() (ConnSnapshot, net.Conn)
}](conns []C, state string) Snapshot {
	now := Snapshot{Time: time.Now(), State: state, Conns: []ConnSnapshot{}}
	for _, c := range conns {
		look, netConn := c.snapshot()
		look.Peer = peercred.Describe(netConn)
		now.Conns = append(now.Conns, look)
	}
	now.sort()
	return now
}

// sort brings connections and calls in order. It does not use package slices, whose functions are
// compiled anew for each type: 23 KB in all programs that use reflection, for these keep Snapshot.
func (s *Snapshot) sort() {
	sort.SliceStable(s.Conns, func(i, j int) bool { return s.Conns[i].Since.Before(s.Conns[j].Since) })
	for _, c := range s.Conns {
		sort.Slice(c.Calls, func(i, j int) bool { return c.Calls[i].ID < c.Calls[j].ID })
	}
}

// snapshot looks at the connection. Whose net.Conn it is, is to be found out without a lock.
func (sc *serverConn) snapshot() (ConnSnapshot, net.Conn) {
	sc.conn.Lock()
	defer sc.conn.Unlock()
	now, netConn := lookLocked(sc.conn.Link())
	now.Handlers = sc.conn.RunningLocked()
	return now, netConn
}

func (c *Client) snapshot() (ConnSnapshot, net.Conn) {
	link := c.conn.Link()
	link.Lock()
	defer link.Unlock()
	return lookLocked(link)
}

// lookLocked looks at a connection, and at its calls.
func lookLocked(c *conn.Conn) (ConnSnapshot, net.Conn) {
	s := c.StatusLocked()
	now := ConnSnapshot{
		Since: s.Since, State: s.State.String(), Extensions: s.Extensions, Unread: s.Unread, Backlog: s.Backlog,
		Calls: []CallSnapshot{},
	}
	for id, call := range c.CallsLocked() {
		now.Calls = append(now.Calls, call.(interface{ look(id uint32) CallSnapshot }).look(id))
	}
	return now, s.NetConn
}

// look looks at a server's call in flight. The conn's lock is held.
func (call *serverCall) look(id uint32) CallSnapshot {
	m := call.method
	look := CallSnapshot{ID: id, Method: m.name, Kind: m.kind().String(), State: "queued"}
	if began := call.began.Load(); began != 0 {
		look.State, look.Since = "running", transport.ClockTime(time.Duration(began))
	}
	if call.stream != nil {
		look.Stream = call.stream.progress()
	}
	return look
}

// look looks at a client's call in flight. The conn's lock is held.
func (s *stream) look(id uint32) CallSnapshot {
	look := CallSnapshot{ID: id, Method: fullMethod(s.name.service, s.name.method), Kind: s.Kind().String(), State: "waiting"}
	if s.name.since != 0 {
		look.Since = transport.ClockTime(s.name.since)
	}
	if s.Kind() != conn.Unary {
		look.State, look.Stream = "open", s.progress()
	}
	return look
}

// progress is how far a stream has come. The conn's lock is held.
func (s *stream) progress() *StreamSnapshot {
	p := s.ProgressLocked()
	return &StreamSnapshot{p.Ended, p.Unread, WindowSnapshot(p.Sent), WindowSnapshot(p.Received)}
}

// String is the snapshot in lines of text, for people: one for each connection, and one for each of
// its calls.
func (s Snapshot) String() string {
	var b strings.Builder
	if s.State != "" {
		fmt.Fprintf(&b, "state %s\n", s.State)
	}
	for _, c := range s.Conns {
		fmt.Fprintf(&b, "%s: %s for %v, extensions %s, %d bytes unread, %d to be written, %d calls\n",
			c.Peer, c.State, age(s.Time, c.Since), c.Extensions, c.Unread, c.Backlog, len(c.Calls))
		for _, call := range c.Calls {
			fmt.Fprintf(&b, "\t%s\n", call.text(s.Time))
		}
	}
	return b.String()
}

func (c CallSnapshot) text(now time.Time) string {
	text := fmt.Sprintf("#%d %s: %s, %s", c.ID, c.Method, c.Kind, c.State)
	if !c.Since.IsZero() {
		text += fmt.Sprintf(" for %v", age(now, c.Since))
	}
	if s := c.Stream; s != nil {
		text += fmt.Sprintf(", %d bytes unread, sent %s, received %s", s.Unread, s.Sent, s.Received)
		if s.Ended {
			text += " and the last"
		}
	}
	return text
}

// String is "5", or "5 of 10" under flow control.
func (w WindowSnapshot) String() string {
	if w.Limited {
		return fmt.Sprintf("%d of %d", w.Bytes, w.Limit)
	}
	return fmt.Sprint(w.Bytes)
}

func age(now, since time.Time) time.Duration { return max(now.Sub(since), 0).Round(time.Millisecond) }
