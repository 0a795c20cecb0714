// Package wire is the lower layer of the fixture.
package wire

// Frame has rules.
type Frame struct{ Owner string }

// Header is plain data.
type Header struct{ ID int }
