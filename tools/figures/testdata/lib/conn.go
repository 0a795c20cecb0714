// Package lib is a fixture of the tests of figures.
package lib

import (
	"sync"
	"sync/atomic"

	"example.com/lib/internal/wire"
	"example.com/missing"
)

type clientConn struct {
	role
	own bool

	mu    sync.Mutex // guards all below and late
	a, b  int
	inner state

	c     int
	other sync.RWMutex
	d     bool

	late  atomic.Bool
	value missing.Value
}

type role struct {
	early bool
	lock  *sync.Mutex // the connection's
	who   int
	since bool
}

type state struct{ x, y bool }

type unlocked struct{ b1, b2, b3, b4, b5, b6, b7, b8 bool }

func (c *clientConn) handle(f *wire.Frame) int {
	if f == nil || c.a > 0 && c.b > 0 {
		return c.deliver(1)
	}
	for range 3 {
		c.wake()
	}
	f.Owner = "lib"
	return wire.Header{ID: 1}.ID
}

func (c *clientConn) wake() { c.a++ }

func (c *clientConn) deliver(n int) int { return n }
