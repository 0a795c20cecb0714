//go:build go1.25

package conns

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/containerd/ttrpc/internal/testkit"
)

// fake is a connection that does nothing.
type fake struct {
	name         string
	drained, cut atomic.Int32
	stage        atomic.Uint32
}

func (c *fake) Drain()       { c.drained.Add(1) }
func (c *fake) Cut()         { c.cut.Add(1) }
func (c *fake) Stage() Stage { return Stage(c.stage.Load()) }

// newSet is a set, and what its user was told.
func newSet(most int) (s *Set[*fake], told *[]bool) {
	s, told = new(Set[*fake]), new([]bool)
	s.Init(most, func(inUse bool) { *told = append(*told, inUse) })
	return s, told
}

// added is a new connection of a set.
func added(t *testing.T, s *Set[*fake], name string) *fake {
	t.Helper()
	c := &fake{name: name}
	testkit.Equal(t, s.Add(c, nil), true)
	return c
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func wantOpen(t *testing.T, s *Set[*fake], want string) {
	t.Helper()
	var names []string
	for _, c := range s.Open() {
		names = append(names, c.name)
	}
	slices.Sort(names)
	testkit.Equal(t, strings.Join(names, " "), want)
}

// A set is in use from its first connection to its last, and idle when it is closed besides.
func TestSet(t *testing.T) {
	s, told := newSet(0)
	a, b := added(t, s, "a"), added(t, s, "b")
	wantOpen(t, s, "a b")
	s.remove(a)
	s.remove(a)
	testkit.Equal(t, fmt.Sprint(*told), "[true]")
	s.remove(b)
	testkit.Equal(t, fmt.Sprint(*told), "[true false]")
	c := added(t, s, "c")
	testkit.Equal(t, isClosed(s.idle) || isClosed(s.Done()) || s.IsDone(), false)

	testkit.Check(t, s.Close())
	testkit.Equal(t, isClosed(s.Done()) && s.IsDone(), true)
	testkit.Equal(t, isClosed(s.idle), false)
	testkit.Equal(t, s.Add(a, nil), false)
	wantOpen(t, s, "c")
	s.remove(a)
	testkit.Equal(t, isClosed(s.idle), false)
	s.remove(c)
	testkit.Equal(t, isClosed(s.idle), true)
	s.remove(c)
	testkit.Check(t, s.Close())
	wantOpen(t, s, "")
	testkit.Equal(t, fmt.Sprint(*told), "[true false true false]")
}

// Whoever waits for the end of a connection learns of it, once it is in no list any more.
func TestOver(t *testing.T) {
	s, _ := newSet(0)
	c, over := new(fake), make(chan struct{})
	testkit.Equal(t, s.Add(c, over), true)
	testkit.Equal(t, isClosed(over), false)
	s.remove(c)
	testkit.Equal(t, isClosed(over), true)
	wantOpen(t, s, "")

	testkit.Check(t, s.Close())
	over = make(chan struct{})
	testkit.Equal(t, s.Add(c, over), false)
	s.remove(c)
	testkit.Equal(t, isClosed(over), false)
}

// One without connections is idle as soon as it is closed.
func TestCloseOfAnEmptySet(t *testing.T) {
	s, told := newSet(0)
	testkit.Check(t, s.Close())
	testkit.Equal(t, isClosed(s.idle), true)
	testkit.Equal(t, len(*told), 0)
}

// A connection that comes too late has its slot no more.
func TestAddGivesTheSlotBack(t *testing.T) {
	s, _ := newSet(1)
	testkit.Equal(t, s.TakeSlot(), true)
	testkit.Check(t, s.Close())
	testkit.Equal(t, s.Add(new(fake), nil), false)
	testkit.Equal(t, len(s.slots), 0)
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
		testkit.Check(t, s.Close())
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
					c := &fake{name: fmt.Sprint(i, " ", j)}
					if s.Add(c, nil) {
						s.remove(c)
					}
				}
			})
		}
		all.Go(func() { _ = s.Close() })
		<-s.idle
		wantOpen(t, s, "")
		all.Wait()
		for i, inUse := range *told {
			testkit.Equal(t, inUse, i%2 == 0)
		}
		testkit.Equal(t, len(*told)%2, 0)
	}
}
