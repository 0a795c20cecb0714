// Package streamids keeps which ids of streams a peer has used.
package streamids

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
		s.gaps = append(s.gaps, idRange{first, id - 2})
		s.forgetLowest()
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
	for i := range s.gaps {
		if r := &s.gaps[i]; r.first <= id && id <= r.last {
			s.split(i, id)
			return true
		}
	}
	return false
}

// split takes an id out of a gap, which leaves two, one or none.
func (s *Set) split(i int, id uint32) {
	r := &s.gaps[i]
	switch {
	case r.first == r.last:
		s.remove(i)
	case id == r.first:
		r.first += 2
	case id == r.last:
		r.last -= 2
	default:
		above := idRange{id + 2, r.last}
		r.last = id - 2
		s.gaps = append(s.gaps, idRange{})
		copy(s.gaps[i+2:], s.gaps[i+1:])
		s.gaps[i+1] = above
		s.forgetLowest()
	}
}

// forgetLowest keeps the number of gaps in bounds.
func (s *Set) forgetLowest() {
	if len(s.gaps) > maxGaps {
		s.remove(0)
	}
}

func (s *Set) remove(i int) {
	s.gaps = append(s.gaps[:i], s.gaps[i+1:]...)
	if len(s.gaps) == 0 {
		s.gaps = nil
	}
}
