//go:build go1.25

package conns

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/testkit"
)

// newSet is a set, and what its user was told.
func newSet(most int) (s *Set[string], told *[]bool) {
	s, told = new(Set[string]), new([]bool)
	s.Init(most, func(inUse bool) { *told = append(*told, inUse) })
	return s, told
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func wantOpen(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	testkit.Equal(t, fmt.Sprint(got), fmt.Sprint(want))
}

// A set is in use from its first connection to its last, and idle when it is closed besides.
func TestSet(t *testing.T) {
	s, told := newSet(0)
	testkit.Equal(t, s.Add("a"), true)
	testkit.Equal(t, s.Add("b"), true)
	wantOpen(t, s.Open(), "a", "b")
	testkit.Equal(t, s.Remove("a"), true)
	testkit.Equal(t, s.Remove("a"), false)
	testkit.Equal(t, fmt.Sprint(*told), "[true]")
	testkit.Equal(t, s.Remove("b"), true)
	testkit.Equal(t, fmt.Sprint(*told), "[true false]")
	testkit.Equal(t, s.Add("c"), true)
	testkit.Equal(t, isClosed(s.Idle()) || isClosed(s.Done()) || s.IsDone(), false)

	open, err := s.Close()
	testkit.Check(t, err)
	wantOpen(t, open, "c")
	testkit.Equal(t, isClosed(s.Done()) && s.IsDone(), true)
	testkit.Equal(t, isClosed(s.Idle()), false)
	testkit.Equal(t, s.Add("d"), false)
	open, _ = s.Close()
	wantOpen(t, open, "c")
	testkit.Equal(t, s.Remove("d"), false)
	testkit.Equal(t, s.Remove("c"), true)
	testkit.Equal(t, isClosed(s.Idle()), true)
	testkit.Equal(t, s.Remove("c"), false)
	open, _ = s.Close()
	wantOpen(t, open)
	testkit.Equal(t, fmt.Sprint(*told), "[true false true false]")
}

// One without connections is idle as soon as it is closed.
func TestCloseOfAnEmptySet(t *testing.T) {
	s, told := newSet(0)
	open, err := s.Close()
	testkit.Check(t, err)
	wantOpen(t, open)
	testkit.Equal(t, isClosed(s.Idle()), true)
	testkit.Equal(t, len(*told), 0)
}

// With a bound whoever comes later waits for a slot, or for the end.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSet(2)
		for range 2 {
			testkit.Equal(t, s.TakeSlot(), true)
		}
		results := make(chan bool, 2)
		for range 2 {
			go func() { results <- s.TakeSlot() }()
		}
		synctest.Wait()
		testkit.Equal(t, len(results), 0)
		s.FreeSlot()
		testkit.Equal(t, <-results, true)
		synctest.Wait()
		testkit.Equal(t, len(results), 0)
		_, err := s.Close()
		testkit.Check(t, err)
		testkit.Equal(t, <-results, false)
	})
}

// Without one nobody waits, and slots that are given back are nothing.
func TestSlotsWithoutABound(t *testing.T) {
	s, _ := newSet(0)
	s.FreeSlot()
	for range 100 {
		testkit.Equal(t, s.TakeSlot(), true)
	}
}

// Connections come and go while the set is closed: all that came in are listed, and idle is last.
func TestSetFromManyGoroutines(t *testing.T) {
	for range 50 {
		s, told := newSet(0)
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for j := range 10 {
					name := fmt.Sprint(i, " ", j)
					if s.Add(name) && !s.Remove(name) {
						t.Error("it was lost")
					}
				}
			})
		}
		all.Go(func() { _, _ = s.Close() })
		<-s.Idle()
		wantOpen(t, s.Open())
		all.Wait()
		for i, inUse := range *told {
			testkit.Equal(t, inUse, i%2 == 0)
		}
		testkit.Equal(t, len(*told)%2, 0)
	}
}
