// Package conn is one connection, as both of its sides have it: its calls by id, who reads, where
// Data goes and what may still be sent, and how far it has come. What a frame means is up to the
// Role of the side. It knows no messages of users, no statuses and no statistics.
package conn

import (
	"net"
	"sync"
	"time"

	"github.com/containerd/ttrpc/internal/flow"
	"github.com/containerd/ttrpc/internal/peer"
	"github.com/containerd/ttrpc/internal/transport"
	"github.com/containerd/ttrpc/internal/wire"
)

// Conn is one connection. A Client has one on which it makes calls, and a Server has one for each
// of its clients.
//
// A call is in flight from before its first frame is sent or handled until somebody removes it, and
// that is the claim to end it.
//
// Its lock guards what roles say, too: what they have to decide in one step with what is in flight,
// or is posted. It is taken before the transport's and a half's.
type Conn struct {
	t       *transport.Transport // nil before OpenLocked
	netConn net.Conn             // the caller's own, or what the handshake has made of it
	since   time.Time            // it was accepted then, or made
	role    Role
	reading reading
	inflow  flow.Inflow
	ext     peer.Extensions
	alive   peer.Liveness

	soleStallTimeout time.Duration // of a stream that is alone in flight

	mu    sync.Mutex // guards all below, and the streams' outgoing
	calls map[uint32]Call
	state State
	cause error // why the connection is closed
}

// Role is one side of the calls on a connection. Its methods are called without the lock.
type Role interface {
	// Handle gives a frame to its call, or answers to it. It returns false where a frame would have to
	// wait and MayWait said no, and has done nothing then, and where another goroutine reads on.
	Handle(in *transport.Inbound) bool
	// Handled is called when there are no more frames for now. It reports whether the next one is
	// likely to come at once.
	Handled() (soon bool)
	// RecvFailed says that reading has ended, by whoever notices it. The connection closes.
	RecvFailed(err error)
	// TakesData reports whether Data may go into a stream. If not it has done what there is to do.
	// live says whether there is a call, and s is nil where that has no Data.
	TakesData(s *Stream, live bool, in *transport.Inbound) bool
	// DataEnded is called when the peer's last Data has been put into a stream.
	DataEnded(s *Stream)
	// HandleExtension takes a frame that is no part of a call, and is sent to this side alone.
	HandleExtension(in *transport.Inbound)
	// RestrainNew is called when the budget of the streams has become crowded, or no longer is. It
	// returns what is to be flushed: its frame, or else the one before.
	RestrainNew(before transport.Unwritten) transport.Unwritten
	// FailStalled ends a stream whose consumer takes nothing, to make room for others.
	FailStalled(s *Stream)
	// PeerSilent is called when the peer has given no sign of life within a time, though it was asked.
	// With it, too, the connection closes.
	PeerSilent(within time.Duration)
}

// Config is what a Conn needs to know. It is plain data.
type Config struct {
	MaxRecv                  int                  // bytes of data accepted in a frame
	Backlog                  int                  // bytes posted and not written
	StreamBuffer, ConnBuffer int                  // bytes received and not taken
	StreamWindow             int                  // bytes of a stream, under way or not taken
	StallTimeout             time.Duration        // of a stream that is alone in flight; 0: for ever
	Extensions               peer.State           // what is known of the peer's at the start
	Keepalive                func(*peer.Liveness) // has the peer asked; nil: nobody does by itself

	First  func(first []byte) error // see [transport.Config]
	OnFail func(error)              // is called when writing has ended
}

// Init says on what the connection is made, before the handshake.
func (c *Conn) Init(netConn net.Conn) {
	c.netConn, c.since, c.state = netConn, time.Now(), Handshake
}

// OpenLocked says that the handshake has succeeded, and makes a transport of the net.Conn that it
// has returned. It returns false where the connection has been closed meanwhile. It needs the lock,
// and what it sets needs none from then on.
func (c *Conn) OpenLocked(netConn net.Conn, role Role, config *Config) bool {
	if c.state != Handshake {
		return false
	}
	c.netConn, c.role, c.soleStallTimeout = netConn, role, config.StallTimeout
	c.t = transport.New(netConn, transport.Config{
		MaxData: config.MaxRecv, Backlog: config.Backlog, First: config.First, OnFail: config.OnFail,
	})
	c.ext.Init(config.Extensions)
	(*frames)(c).open()
	c.alive.Init((*asked)(c), &c.ext)
	if config.Keepalive != nil {
		config.Keepalive(&c.alive)
	}
	c.inflow.Init(config.StreamBuffer, config.ConnBuffer, config.StreamWindow, &c.ext)
	c.state = Open
	return true
}

// Link returns the connection, for those who know it as part of a role's.
func (c *Conn) Link() *Conn { return c }

// Lock takes the connection's lock.
func (c *Conn) Lock() { c.mu.Lock() }

// Unlock gives it back. What has been posted is flushed after it.
func (c *Conn) Unlock() { c.mu.Unlock() }

// PostLocked takes a frame and posts it: the order of those who have the lock is the order on the
// wire. It needs the lock. Its error is what writing has ended with.
func (c *Conn) PostLocked(f *wire.Frame) (transport.Unwritten, error) { return c.t.Post(f) }

// Transport returns what carries the frames, for all but posting: nil before OpenLocked.
func (c *Conn) Transport() *transport.Transport { return c.t }

// Extensions returns whether the peer knows the protocol's extensions.
func (c *Conn) Extensions() *peer.Extensions { return &c.ext }

// Liveness returns what asks the peer for signs of life.
func (c *Conn) Liveness() *peer.Liveness { return &c.alive }

// NetConn returns the net.Conn, which is the role's to close. Before OpenLocked it needs the lock.
func (c *Conn) NetConn() net.Conn { return c.netConn }

// Buffered returns how many bytes the streams have received that were not taken, and how many more
// their senders have been promised room for.
func (c *Conn) Buffered() (unread, promised int) { return c.inflow.Buffered(), c.inflow.Promised() }

// asked is a Conn as [peer.Liveness] sees it.
type asked Conn

// Post implements [peer.Conn].
func (a *asked) Post(f *wire.Frame) (transport.Unwritten, error) { return a.t.Post(f) }

// LastRead implements [peer.Conn].
func (a *asked) LastRead() time.Duration { return a.t.LastRead() }

// Unwritten implements [peer.Conn].
func (a *asked) Unwritten() int { return a.t.Unwritten() }

// WriteProgress implements [peer.Conn].
func (a *asked) WriteProgress() uint64 { return a.t.WriteProgress() }

// Waits implements [peer.Conn].
func (a *asked) Waits() bool { return a.inflow.Waits() }

// PeerSilent implements [peer.Conn].
func (a *asked) PeerSilent(within time.Duration) { a.role.PeerSilent(within) }
