// Package wire is the lowest layer of a fixture of layers_test.go.
package wire

// Frame has an owner.
type Frame struct {
	Owner string
	Size  struct{ Total int }
}

// Header is how a frame begins. It is plain
// data.
type Header struct{ ID, Length int }

// Queue is of any type.
type Queue[T any] struct{ Head *T }

// SetOwner is how an owner is set.
func (f *Frame) SetOwner(s string) { f.Owner = s }
