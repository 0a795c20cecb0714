//go:build go1.25

package ttrpc

import "testing"

// A consumer that waits still waits when Data without a message has come: a stream that is stopped
// then may send one all the same.
func TestWindowOfAConsumerThatWaits(t *testing.T) {
	ext := new(extensions)
	ext.set(extKnown)
	b := &budget{connLimit: 1 << 20, window: 1 << 10, ext: ext}
	w := new(recvWindow)
	if due := w.want(b); due.due {
		t.Error(due)
	}
	w.pass(b, 10)
	if due := w.restrain(b); due != (limitDue{11, true}) {
		t.Error(due)
	}
	if due := w.count(b, 10, 10); due.due || b.open.Load() != 0 {
		t.Error(due, b.open.Load())
	}
	if due := w.want(b); due != (limitDue{20 + 1<<10, true}) {
		t.Error(due)
	}
	w.close(b)
	if open := b.open.Load(); open != 0 {
		t.Error(open)
	}
}
