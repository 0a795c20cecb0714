// Package transport is the middle layer of a fixture of layers_test.go.
package transport

import "example.com/house/internal/wire"

// Inner is embedded.
type Inner struct{ State int }

// Conn embeds a type whose fields are free, and has fields that are not.
type Conn struct {
	Inner *Closer
	wire.Header
	State int
}

// Closer has a method.
type Closer struct{}

func (c *Conn) own(f *wire.Frame) { f.Owner = "transport" }

// Close is a method.
func (c *Closer) Close() {}

// Unwritten has to be used: must_flush_test.go holds that.
type Unwritten struct{ c *Conn }

// Post returns what the caller has to flush.
func (c *Conn) Post(f *wire.Frame) (Unwritten, error) { return Unwritten{c}, nil }

// PostAll does so for several.
func (c *Conn) PostAll(f ...*wire.Frame) Unwritten { return Unwritten{c} }

// Flush writes.
func (u Unwritten) Flush() {}
