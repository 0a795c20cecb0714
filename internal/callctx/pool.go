package callctx

import "sync"

// batchSize is how many contexts are allocated at once.
const batchSize = 24

// Pool makes contexts, many in one allocation. T has a [Context] in it. None is made twice, for
// users may keep theirs, and one that is kept keeps the others of its batch. The zero value is
// ready.
type Pool[T any] struct{ spare sync.Pool } // of batches that are not used up

type batch[T any] struct {
	used int
	all  [batchSize]T
}

// New returns a T of its own.
func (p *Pool[T]) New() *T {
	b, _ := p.spare.Get().(*batch[T])
	if b == nil {
		b = new(batch[T])
	}
	c := &b.all[b.used]
	if b.used++; b.used < batchSize {
		p.spare.Put(b)
	}
	return c
}
