package pipe

import (
	"net"
	"sync"
)

// Listener hands out the far ends of the connections that Dial makes.
type Listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Listen returns a listener.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Dial connects to the listener, and returns when the connection has been accepted. there is how
// the bytes that the caller writes behave, back those that it reads.
func (l *Listener) Dial(there, back Options) (*Conn, error) {
	a, b := New(there, back)
	select {
	case l.conns <- b:
		return a, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns an Addr.
func (l *Listener) Addr() net.Addr { return Addr{} }
