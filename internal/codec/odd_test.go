//go:build go1.25

package codec

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// hand has no methods but those that each of the following adds: what users write by hand in the
// years of gogo.
type hand struct{}

func (hand) Reset()         {}
func (hand) String() string { return "" }
func (hand) ProtoMessage()  {}

type oddTable struct {
	hand
	size    int
	marshal func(b []byte) ([]byte, error)
}

func (m *oddTable) XXX_Size() int                                { return m.size }
func (m *oddTable) XXX_Marshal(b []byte, _ bool) ([]byte, error) { return m.marshal(b) }

type oddTo struct {
	hand
	sizes []int // what Size says, in turn
	write func(b []byte) (int, error)
}

func (m *oddTo) Size() int {
	size := m.sizes[0]
	m.sizes = append(m.sizes[1:], size)
	return size
}
func (m *oddTo) MarshalTo(b []byte) (int, error) { return m.write(b) }

type oddSized struct{ oddTo }

func (m *oddSized) MarshalToSizedBuffer(b []byte) (int, error) { return m.write(b) }

// oddMarshaler has every method: the first in gogo's order counts.
type oddMarshaler struct {
	oddTo
	data []byte
}

func (m *oddMarshaler) Marshal() ([]byte, error) { return m.data, nil }

// encodeOdd encodes into a buffer that was used before, as a frame's is.
func encodeOdd(m any) ([]byte, error) {
	e, err := EncoderFor(m)
	if err != nil {
		return nil, err
	}
	b, err := e.Append(bytes.Repeat([]byte("Z"), e.Size()+50)[:3])
	if err != nil {
		return nil, err
	}
	if len(b) != 3+e.Size() || string(b[:3]) != "ZZZ" {
		return nil, errors.New("not behind the buffer")
	}
	return b[3:], nil
}

// What a message's own methods return is sent, whatever size they have announced, and nothing else.
func TestSizesThatLie(t *testing.T) {
	kept := []byte("kept")
	for name, test := range map[string]struct {
		m    any
		want string
	}{
		"table: as announced":       {&oddTable{size: 2, marshal: func(b []byte) ([]byte, error) { return append(b, "ab"...), nil }}, "ab"},
		"table: nothing written":    {&oddTable{size: 2, marshal: func(b []byte) ([]byte, error) { return b[:cap(b)][:2], nil }}, "\x00\x00"},
		"table: less":               {&oddTable{size: 9, marshal: func(b []byte) ([]byte, error) { return append(b, "ab"...), nil }}, "ab"},
		"table: more":               {&oddTable{size: 1, marshal: func(b []byte) ([]byte, error) { return append(b, "abcd"...), nil }}, "abcd"},
		"table: zero":               {&oddTable{size: 0, marshal: func(b []byte) ([]byte, error) { return append(b, "abcd"...), nil }}, "abcd"},
		"table: another slice":      {&oddTable{size: 9, marshal: func([]byte) ([]byte, error) { return kept, nil }}, "kept"},
		"table: none":               {&oddTable{size: 9, marshal: func([]byte) ([]byte, error) { return nil, nil }}, ""},
		"marshaler before the rest": {&oddMarshaler{data: kept}, "kept"},
		"to: nothing written":       {&oddTo{sizes: []int{3}, write: func(b []byte) (int, error) { return len(b), nil }}, "\x00\x00\x00"},
		"sized: nothing written": {
			&oddSized{oddTo{sizes: []int{3}, write: func(b []byte) (int, error) { return len(b), nil }}}, "\x00\x00\x00",
		},
		"to: size changes": {&oddTo{sizes: []int{2, 9}, write: func(b []byte) (int, error) { return copy(b, "abc"), nil }}, "ab"},
	} {
		got, err := encodeOdd(test.m)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	testkit.Equal(t, string(kept), "kept")
}

func TestSizesThatCanNotBe(t *testing.T) {
	returns := func(n int) func([]byte) (int, error) { return func([]byte) (int, error) { return n, nil } }
	for name, test := range map[string]struct {
		m    any
		want error
	}{
		"table: negative":  {&oddTable{size: -1}, ErrInvalidSize},
		"table: smallest":  {&oddTable{size: math.MinInt}, ErrInvalidSize},
		"to: negative":     {&oddTo{sizes: []int{-5}}, ErrInvalidSize},
		"to: n is less":    {&oddTo{sizes: []int{5}, write: returns(4)}, ErrSizeChanged},
		"to: n is more":    {&oddTo{sizes: []int{5}, write: returns(6)}, ErrSizeChanged},
		"to: n < 0":        {&oddTo{sizes: []int{5}, write: returns(-1)}, ErrSizeChanged},
		"sized: n is more": {&oddSized{oddTo{sizes: []int{5}, write: returns(6)}}, ErrSizeChanged},
	} {
		if _, err := encodeOdd(test.m); !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if math.MaxInt > math.MaxInt32 {
		if _, err := encodeOdd(&oddTable{size: math.MaxInt}); !errors.Is(err, ErrInvalidSize) {
			t.Errorf("the largest: got error %v", err)
		}
	}
}
