//go:build go1.25

package ttrpc_test

import (
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
