//go:build go1.25

package callctx

import (
	"sync"
	"testing"
)

// No two who ask get the same, however many do so at once.
func TestPoolMakesEachOnce(t *testing.T) {
	var p Pool[Context]
	made := make(chan *Context, 8*10*batchSize)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 * batchSize {
				made <- p.New()
			}
		})
	}
	all.Wait()
	close(made)
	seen := map[*Context]bool{}
	for c := range made {
		if seen[c] {
			t.Fatal("one was made twice")
		}
		seen[c] = true
	}
}
