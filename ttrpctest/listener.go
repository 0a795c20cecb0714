package ttrpctest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
)

// Listener is a [net.Listener] in memory. All methods are safe for concurrent use.
type Listener struct {
	mu      sync.Mutex // guards all below
	changed sync.Cond  // waiting has become longer, or closed true
	dialed  int        // connections ever
	waiting []*Conn    // servers' ends that nobody has accepted yet
	open    []*Conn    // clients' ends, and some that are closed
	closed  bool
}

// Listen returns a listener.
func Listen() *Listener {
	l := new(Listener)
	l.changed.L = &l.mu
	return l
}

// Dial connects to the listener and returns the client's end. As with a socket, the connection is
// there before it has been accepted. Each f is called with it before the server can see it, so that
// faults can be set from the first byte on. The error says that the listener has been closed:
// ECONNREFUSED.
func (l *Listener) Dial(f ...func(*Conn)) (*Conn, error) {
	l.mu.Lock()
	l.dialed++
	client, server := pair(addr(fmt.Sprintf("client %d", l.dialed)), "server")
	l.mu.Unlock()
	for _, configure := range f {
		configure(client)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, &net.OpError{Op: "dial", Net: server.local.Network(), Addr: server.local, Err: syscall.ECONNREFUSED}
	}
	l.waiting = append(l.waiting, server)
	l.open = append(slices.DeleteFunc(l.open, (*Conn).isOver), client)
	l.changed.Signal()
	return client, nil
}

// DialContext is [Listener.Dial] in the form that diallers have. It does not wait, so the end of
// ctx matters only before.
func (l *Listener) DialContext(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn, err := l.Dial()
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Accept waits for a connection, which is a *[Conn]. It returns an error that wraps net.ErrClosed
// after Close.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 {
		if l.closed {
			return nil, l.closedError("accept")
		}
		l.changed.Wait()
	}
	conn := l.waiting[0]
	l.waiting = l.waiting[1:]
	return conn, nil
}

// Close ends Accept and Dial. Connections that nobody has accepted are reset, and others stay.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.closedError("close")
	}
	l.closed = true
	for _, conn := range l.waiting {
		conn.ResetAfter(0)
	}
	l.waiting = nil
	l.changed.Broadcast()
	return nil
}

// Conns returns the clients' ends of the connections of which neither end has been closed, oldest
// first.
func (l *Listener) Conns() []*Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, (*Conn).isOver)
	return slices.Clone(l.open)
}

func (l *Listener) closedError(op string) error {
	return &net.OpError{Op: op, Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
}

// Addr returns the address that the servers' ends have.
func (l *Listener) Addr() net.Addr { return addr("server") }
