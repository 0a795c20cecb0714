//go:build go1.25

package streamids

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// idModel is a Set by a set of all skipped ids.
type idModel struct {
	last    uint32
	skipped map[uint32]bool
}

func (m *idModel) use(id uint32) bool {
	if id <= m.last {
		if !m.skipped[id] {
			return false
		}
		delete(m.skipped, id)
	} else {
		for free := m.last + 1 + m.last%2; free < id; free += 2 {
			m.skipped[free] = true
		}
		m.last = id
	}
	if gaps := m.gaps(); len(gaps) > maxGaps {
		for id := gaps[0].first; id <= gaps[0].last; id += 2 {
			delete(m.skipped, id)
		}
	}
	return true
}

// gaps are the runs of skipped ids.
func (m *idModel) gaps() (all []idRange) {
	for id := uint32(1); id <= m.last; id += 2 {
		switch n := len(all) - 1; {
		case !m.skipped[id]:
		case n >= 0 && all[n].last == id-2:
			all[n].last = id
		default:
			all = append(all, idRange{id, id})
		}
	}
	return all
}

func checkIDs(t *testing.T, ids []uint32) {
	t.Helper()
	var s Set
	m := idModel{skipped: map[uint32]bool{}}
	for i, id := range ids {
		want := m.use(id)
		if got := s.Use(id); got != want {
			t.Fatalf("%d of %v: got %v, want %v", i, ids[:i+1], got, want)
		}
		if want := m.gaps(); s.last != m.last || !slices.Equal(s.gaps, want) {
			t.Fatalf("after %v: gaps and last are %v %v, want %v %v", ids[:i+1], s.gaps, s.last, want, m.last)
		}
	}
	if (s.gaps == nil) != (len(m.skipped) == 0) {
		t.Errorf("gaps are %v, skipped %v", s.gaps, m.skipped)
	}
}

func TestStreamIDs(t *testing.T) {
	for _, ids := range [][]uint32{
		{1, 3, 5, 5, 3, 1},
		{1, 1},
		{7, 1, 1, 5, 3, 3, 9},
		{9, 5, 1, 3, 7, 7, 1},
		{3, 3, 1, 1},
	} {
		checkIDs(t, ids)
	}
}

// At random more gaps come than are remembered: the lowest are forgotten,
// and their ids are not used again.
func TestStreamIDsAreAModels(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		var ids []uint32
		most := 1 + random.IntN(600)
		for range random.IntN(600) {
			ids = append(ids, uint32(2*random.IntN(most)+1))
		}
		checkIDs(t, ids)
	}
	var far []uint32
	for id := uint32(5); id < 3000; id += 4 {
		far = append(far, id)
	}
	for id := uint32(1); id < 3000; id += 2 { // in the order in which they were forgotten
		far = append(far, id)
	}
	checkIDs(t, far)
}

// A gap in its middle is cut in two, which may be one too many.
func TestStreamIDsCutGaps(t *testing.T) {
	var ids []uint32
	for i := range uint32(maxGaps) {
		ids = append(ids, 8*i+7) // behind gaps of three
	}
	checkIDs(t, append(ids, 8*20+3, 1, 3, 5, 8*20+1, 8*20+5, 9))
}

// The last ids are the ends of ranges like others.
func TestLargestStreamIDs(t *testing.T) {
	var s Set
	for _, step := range []struct {
		id   uint32
		want bool
	}{
		{1, true}, {math.MaxUint32, true}, {math.MaxUint32, false}, {math.MaxUint32 - 2, true}, {math.MaxUint32 - 2, false},
		{3, true}, {1, false}, {1<<31 + 1, true}, {1<<31 + 1, false}, {math.MaxUint32, false},
	} {
		if got := s.Use(step.id); got != step.want {
			t.Errorf("%d: got %v", step.id, got)
		}
	}
	want := []idRange{{5, 1<<31 - 1}, {1<<31 + 3, math.MaxUint32 - 4}}
	if !slices.Equal(s.gaps, want) {
		t.Errorf("gaps are %v, want %v", s.gaps, want)
	}
}

// FuzzStreamIDs uses ids as a string says: each byte is an id, or how far the next one lies behind.
func FuzzStreamIDs(f *testing.F) {
	f.Add([]byte{0, 1, 2, 2, 9, 5})
	f.Add([]byte{255, 0, 255, 7, 128, 200, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var ids []uint32
		base := uint32(0)
		for _, v := range b[:min(len(b), 300)] {
			if v >= 250 {
				base += uint32(v-249) * 20
			}
			ids = append(ids, 2*(base+uint32(v)%250)+1)
		}
		checkIDs(t, ids)
	})
}
