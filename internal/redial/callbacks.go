package redial

import "sync"

// callbacks runs functions of users in their order, one at a time and without a lock, on a
// goroutine that ends when there is none left. The zero value is ready.
type callbacks struct {
	mu      sync.Mutex // guards all below
	next    []func()
	running bool // a goroutine runs them
}

// add has f run after those before it.
func (c *callbacks) add(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = append(c.next, f)
	if !c.running {
		c.running = true
		go c.run()
	}
}

func (c *callbacks) run() {
	for f := c.take(); f != nil; f = c.take() {
		f()
	}
}

// take returns the next function. With none left it returns nil, and the goroutine ends.
func (c *callbacks) take() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.next) == 0 {
		c.next, c.running = nil, false
		return nil
	}
	f := c.next[0]
	c.next = c.next[1:]
	return f
}
