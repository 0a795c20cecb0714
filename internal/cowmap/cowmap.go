// Package cowmap has a map that is read often and changed seldom: readers take no lock, for a
// change replaces the map by a copy.
package cowmap

import (
	"sync"
	"sync/atomic"
)

// Map has values by name. The zero value is empty.
type Map[V any] struct {
	mu  sync.Mutex // guards the replacing
	all atomic.Pointer[map[string]V]
}

// Get returns the value of a name, which may be that of a buffer; V's zero value is none.
func (m *Map[V]) Get(name []byte) (v V) {
	if all := m.all.Load(); all != nil {
		v = (*all)[string(name)]
	}
	return v
}

// All returns the map as it is, which nobody may change.
func (m *Map[V]) All() map[string]V {
	if all := m.all.Load(); all != nil {
		return *all
	}
	return nil
}

// Set gives a name a value, in place of the one that it has.
func (m *Map[V]) Set(name string, v V) {
	m.mu.Lock()
	m.setLocked(name, v)
	m.mu.Unlock()
}

// Add gives a name a value, unless it has one: it returns false then.
func (m *Map[V]) Add(name string, v V) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.All()[name]; taken {
		return false
	}
	m.setLocked(name, v)
	return true
}

func (m *Map[V]) setLocked(name string, v V) {
	old := m.All()
	all := make(map[string]V, len(old)+1)
	for name, v := range old {
		all[name] = v
	}
	all[name] = v
	m.all.Store(&all)
}
