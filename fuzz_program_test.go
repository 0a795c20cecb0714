//go:build go1.25

package ttrpc_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// randomProgram is a seed for programs of frames.
func randomProgram(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 20+r.IntN(400))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// extension is a frame of the extensions, for some id: one that either side may send, or neither.
func (p *program) extension(id uint32) rawFrame {
	f := rawFrame{id: id, typ: []byte{4, 5, 0x40, 0x41, 0x42, 0x42, 0x43}[p.next(7)]}
	switch p.next(8) {
	case 0: // anything
		f.id, f.flags, f.data = id+uint32(p.next(3)), byte(p.next(256)), p.bytes(p.next(80))
		return f
	case 1, 2:
		f.id = 0
	}
	switch f.typ {
	case 4, 5:
		f.data = p.bytes(8)
	case 0x42:
		f.data = binary.BigEndian.AppendUint64(nil, p.limit())
	case 0x43:
		f.id, f.data = 0, binary.BigEndian.AppendUint32(nil, id)
	}
	return f
}

// limit is one of a Window: small, and growing or not, or one of the largest.
func (p *program) limit() uint64 {
	n := uint64(p.next(256))
	if n <= 3 {
		return math.MaxUint64 - n
	}
	return n << p.next(8)
}
