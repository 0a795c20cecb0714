//go:build go1.25

package ttrpc_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// keeper is a hand-written message of gogo's time, and of a proxy's,
// that keeps the bytes that it is given.
type keeper struct{ kept []byte }

func (m *keeper) Reset()                   { *m = keeper{} }
func (m *keeper) String() string           { return string(m.kept) }
func (*keeper) ProtoMessage()              {}
func (m *keeper) Unmarshal(b []byte) error { m.kept = b; return nil }
func (m *keeper) Marshal() ([]byte, error) { return m.kept, nil }

// oddTable is marshaled by a table's methods, which need not agree with each other.
type oddTable struct {
	keeper
	size    int
	marshal func(b []byte) ([]byte, error)
}

func (m *oddTable) XXX_Size() int                                { return m.size }
func (m *oddTable) XXX_Marshal(b []byte, _ bool) ([]byte, error) { return m.marshal(b) }

// panickingTo panics when it has been given the bytes to write to.
type panickingTo struct{ given []byte }

func (*panickingTo) Reset()                            {}
func (*panickingTo) String() string                    { return "" }
func (*panickingTo) ProtoMessage()                     {}
func (*panickingTo) Size() int                         { return 64 }
func (m *panickingTo) MarshalTo(b []byte) (int, error) { m.given = b; panic("in MarshalTo") }

// What such a message has returned is what the peer decodes.
func TestOddMessagesOverTheWire(t *testing.T) {
	var saw []byte
	c := serve(t, withMethod("raw", func(_ context.Context, unmarshal func(any) error) (any, error) {
		m := new(keeper)
		err := unmarshal(m)
		saw = m.kept
		return m, err
	})).client()
	want := protowire.AppendString([]byte{1<<3 | 2}, "text")
	for _, m := range []any{
		&oddTable{size: 99, marshal: func([]byte) ([]byte, error) { return want, nil }},
		&oddTable{size: 1, marshal: func(b []byte) ([]byte, error) { return append(b, want...), nil }},
		&keeper{want},
	} {
		out := text("")
		check(t, c.Call(bg, svc, "raw", m, out))
		equal(t, out.Value, "text")
		equal(t, string(saw), string(want))
	}
	failed := errors.New("failed")
	wantIs(t, c.Call(bg, svc, "raw", &oddTable{marshal: func([]byte) ([]byte, error) { return nil, failed }}, text("")), failed)
	equal(t, c.Call(bg, svc, "raw", &oddTable{size: -1}, text("")).Error(), "ttrpc: size out of range: a message of -1 bytes")
	wantEcho(t, c)
}

// A message whose method panics leaves no frame behind: what the method was given is nobody else's.
func TestMarshalPanics(t *testing.T) {
	c := serve(t).client()
	m := new(panickingTo)
	func() {
		defer func() { equal(t, recover(), any("in MarshalTo")) }()
		_ = c.Call(bg, svc, "echo", m, text(""))
	}()
	for i := range m.given {
		m.given[i] = 'Z'
	}
	repeat(20, func() { wantEcho(t, c) })
	equal(t, string(m.given), string(bytes.Repeat([]byte("Z"), 64)))
}

// panicker keeps the bytes that it is given, and panics.
type panicker struct{ keeper }

func (m *panicker) Unmarshal(b []byte) error { m.kept = b; panic("in Unmarshal") }

func TestUnmarshalPanicsAndKeeps(t *testing.T) {
	c := serve(t).client()
	m := new(panicker)
	func() {
		defer func() { equal(t, recover(), any("in Unmarshal")) }()
		_ = c.Call(bg, svc, "echo", text("kept"), m)
	}()
	repeat(20, func() { wantEcho(t, c) })
	equal(t, string(m.kept), string(encode(text("kept"))))
}
