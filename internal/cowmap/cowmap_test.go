//go:build go1.25

package cowmap

import (
	"fmt"
	"sync"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// What is there stays for those who have it, whatever changes.
func TestMap(t *testing.T) {
	var m Map[int]
	testkit.Equal(t, m.Get([]byte("a")), 0)
	testkit.Equal(t, len(m.All()), 0)
	testkit.Equal(t, m.Add("a", 1), true)
	before := m.All()
	testkit.Equal(t, m.Add("a", 2), false)
	testkit.Equal(t, m.Get([]byte("a")), 1)
	m.Set("a", 3)
	m.Set("b", 4)
	testkit.Equal(t, m.Get([]byte("a")), 3)
	testkit.Equal(t, m.Get([]byte("b")), 4)
	testkit.Equal(t, fmt.Sprint(before), "map[a:1]")
	testkit.Equal(t, fmt.Sprint(m.All()), "map[a:3 b:4]")
}

// A look up allocates nothing.
func TestGetAllocatesNothing(t *testing.T) {
	var m Map[*int]
	name := []byte("a name that is longer than what the compiler keeps on the stack for a conversion")
	v := new(int)
	m.Set(string(name), v)
	testkit.Equal(t, testing.AllocsPerRun(100, func() { testkit.Equal(t, m.Get(name), v) }), 0)
}

// Many add and read at once: of each name one is the first, and nothing is lost.
func TestMapFromManyGoroutines(t *testing.T) {
	var m Map[int]
	var all sync.WaitGroup
	added := make(chan int, 1000)
	for range 4 {
		all.Go(func() {
			for i := range 100 {
				name := fmt.Sprint(i)
				if m.Add(name, i+1) {
					added <- i
				}
				if m.Get([]byte(name)) != i+1 {
					t.Error("it is lost:", i)
				}
			}
		})
	}
	all.Wait()
	testkit.Equal(t, len(added), 100)
	testkit.Equal(t, len(m.All()), 100)
}
