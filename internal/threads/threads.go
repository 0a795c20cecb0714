// Package threads tells whether a function has left its goroutine locked to a thread
// ([runtime.LockOSThread]), and when to look.
package threads

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// These say when to look, which takes some 2 µs: after these runs of a function, and after all runs
// where one has left its goroutine locked.
const (
	lookFirst = 64                    // first runs of a function
	lookAfter = 10 * time.Microsecond // what a run takes: system calls change a thread
	lookEvery = 16                    // runs of a goroutine
)

// Use is what is known of what a function does to threads. The zero value knows nothing. It is for
// any number of goroutines.
type Use struct {
	clean atomic.Int32 // looks that have found nothing, up to lookFirst; or takesThreads
}

const takesThreads = -1 // one look has found the goroutine locked

// WorthLooking reports whether to look after a run, the goroutine's so many.
func (u *Use) WorthLooking(took time.Duration, runs int) bool {
	return u.clean.Load() < lookFirst || took > lookAfter || runs%lookEvery == 0
}

// Looked counts what a look has found, and returns it.
func (u *Use) Looked(locked bool) bool {
	clean := u.clean.Load()
	switch {
	case locked:
		u.clean.Store(takesThreads)
	case clean >= 0 && clean < lookFirst:
		u.clean.CompareAndSwap(clean, clean+1)
	}
	return locked
}

// stackLine has room for the first line of a stack.
type stackLine [80]byte

var stackLines = sync.Pool{New: func() any { return new(stackLine) }}

// IsLocked reports whether this goroutine is locked to its thread, which its stack says in the
// first line.
func IsLocked() bool {
	b := stackLines.Get().(*stackLine)
	defer stackLines.Put(b)
	line, _, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte("\n"))
	return bytes.Contains(line, []byte("locked to thread"))
}
