package ttrpc

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"time"
)

// These say when to look whether a handler has left its goroutine locked to a thread: that takes
// some 2 µs. After all runs of a method, where one has.
const (
	lookFirst = 64                    // first runs of a method
	lookAfter = 10 * time.Microsecond // what a run takes: system calls change a thread
	lookEvery = 16                    // runs of a goroutine
)

// threadUse is what is known of what a method does to threads.
type threadUse struct {
	clean atomic.Int32 // looks that have found nothing, up to lookFirst; takesThreads
}

const takesThreads = -1 // one look has found the goroutine locked

// worthLooking reports whether to look after a run, the goroutine's so many.
func (u *threadUse) worthLooking(took time.Duration, runs int) bool {
	return u.clean.Load() < lookFirst || took > lookAfter || runs%lookEvery == 0
}

// looked counts what a look has found, and returns it.
func (u *threadUse) looked(locked bool) bool {
	clean := u.clean.Load()
	switch {
	case locked:
		u.clean.Store(takesThreads)
	case clean >= 0 && clean < lookFirst:
		u.clean.CompareAndSwap(clean, clean+1)
	}
	return locked
}

// isLocked reports whether this goroutine is locked to its thread, which its stack says in the
// first line. It uses b, which has room for that.
func isLocked(b []byte) bool {
	line, _, _ := bytes.Cut(b[:runtime.Stack(b, false)], []byte("\n"))
	return bytes.Contains(line, []byte("locked to thread"))
}
