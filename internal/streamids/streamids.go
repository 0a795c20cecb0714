// Package streamids keeps which ids of streams a peer has used.
package streamids

import "slices"

// Set knows which ids a client has used. The zero value knows of none. Ids increase, as a rule. A
// client that writes concurrently may put a lower one on the wire after a higher one, as the Rust
// crate's does: an id that was skipped may come once.
type Set struct {
	last uint32    // the highest so far
	gaps []idRange // skipped, in ascending order; nil while there are none
}

// idRange is all odd ids from first to last.
type idRange struct{ first, last uint32 }

// maxGaps bounds the memory of one connection: the lowest gaps are forgotten.
const maxGaps = 64

// Use takes an odd id, and reports whether it was unused.
func (s *Set) Use(id uint32) bool {
	if id <= s.last {
		return s.useSkipped(id)
	}
	if first := s.next(); id > first {
		if len(s.gaps) == maxGaps {
			s.gaps = slices.Delete(s.gaps, 0, 1)
		}
		s.gaps = append(s.gaps, idRange{first, id - 2})
	}
	s.last = id
	return true
}

// next is the id that comes next where none is skipped.
func (s *Set) next() uint32 {
	if s.last == 0 {
		return 1
	}
	return s.last + 2
}

func (s *Set) useSkipped(id uint32) bool {
	i := slices.IndexFunc(s.gaps, func(r idRange) bool { return r.first <= id && id <= r.last })
	if i < 0 {
		return false
	}
	r := s.gaps[i]
	var rest []idRange
	if r.first < id {
		rest = append(rest, idRange{r.first, id - 2})
	}
	if id < r.last {
		rest = append(rest, idRange{id + 2, r.last})
	}
	s.gaps = slices.Replace(s.gaps, i, i+1, rest...)
	if len(s.gaps) > maxGaps {
		s.gaps = slices.Delete(s.gaps, 0, 1)
	}
	if len(s.gaps) == 0 {
		s.gaps = nil
	}
	return true
}
