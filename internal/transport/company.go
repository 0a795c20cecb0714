package transport

import "sync/atomic"

// To ask a descriptor in place of parking pays where one of the process waits at a time. Where
// others wait on other connections, they need the processor that it takes. So it becomes rare
// where one comes while another asks, and the rarer the more often that is so.
const (
	companyStep  = 2 // a meeting adds so much to the level; a wait that has found something takes 1
	companyLevel = 9 // of it at the most; it is the log2 of the waits that go without
)

// company is what the process's waits have found out about each other. Its two figures are no
// more than advice, so nothing keeps them together.
type company struct {
	level atomic.Int32
	left  atomic.Int32 // waits to come that go without
}

var askers company

// mayAsk reports whether a wait may ask. another says that one is asking.
func (c *company) mayAsk(another bool) bool {
	if another {
		level := min(c.level.Load()+companyStep, companyLevel)
		c.level.Store(level)
		c.left.Store(1 << level)
		return false
	}
	left := c.left.Load()
	if left > 0 {
		c.left.CompareAndSwap(left, left-1)
	}
	return left <= 0
}

// found says that a wait has asked and found something.
func (c *company) found() {
	if level := c.level.Load(); level > 0 {
		c.level.CompareAndSwap(level, level-1)
	}
}
