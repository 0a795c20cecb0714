package ttrpc

import (
	"sync/atomic"
	"time"

	"github.com/containerd/ttrpc/internal/transport"
)

const (
	sharedStallTimeout = time.Second           // where other calls wait for the same reader
	stallGrace         = 50 * time.Millisecond // awake, before a stream is given up as stalled
)

// inflow is what a connection's streams have received and not taken,
// and where its reader waits for room.
type inflow struct {
	streamLimit, connLimit int
	stallTimeout           time.Duration // of a stream that is alone

	buffered atomic.Int64  // bytes of all streams
	waiting  atomic.Bool   // the reader waits for room
	room     chan struct{} // capacity 1: it waits, and bytes were released, a call has come, or closed
	closed   atomic.Bool
}

func (fl *inflow) init(l *limits) {
	fl.streamLimit, fl.connLimit, fl.stallTimeout = l.streamBuffer, l.connBuffer, l.stallTimeout
	fl.room = make(chan struct{}, 1)
}

// admit counts n more bytes for a stream that has some already. One frame always has room in a
// stream that has none, and in a connection that has none, however small the limits.
func (fl *inflow) admit(buffered, n int) bool {
	if buffered > 0 && buffered+n > fl.streamLimit {
		return false
	}
	if total := fl.buffered.Add(int64(n)); total > int64(fl.connLimit) && total > int64(n) {
		fl.buffered.Add(-int64(n))
		return false
	}
	return true
}

func (fl *inflow) release(n int) {
	fl.buffered.Add(-int64(n))
	fl.noteCall()
}

// noteCall has a waiting reader look again.
func (fl *inflow) noteCall() {
	if fl.waiting.Load() {
		signal(fl.room)
	}
}

// close lets a waiting reader go.
func (fl *inflow) close() {
	fl.closed.Store(true)
	fl.noteCall()
}

// makeRoom waits until a frame has been put into its stream: while the buffers are full and the
// consumers of the streams that fill them still take messages. One that has taken nothing for too
// long has stalled, and its stream is failed to make room.
func (fl *inflow) makeRoom(c *conn, s *stream, in *transport.Inbound) {
	fl.waiting.Store(true)
	defer fl.waiting.Store(false)
	var suspect *stream
	var seen int64 // when suspect last took a message
	for !fl.closed.Load() && !s.push(in) {
		slowest, left := fl.mostStalled(c, fl.holders(c, s, in))
		switch {
		case slowest == nil:
			<-fl.room
		case left > stallGrace:
			fl.await(left - stallGrace)
		case slowest == suspect && slowest.lastRecv.Load() == seen:
			c.role.failStalled(slowest)
		default:
			// The end counts only awake: a process that stood still (stopped, frozen) has lost time that its
			// consumers never had.
			suspect, seen = slowest, slowest.lastRecv.Load()
			fl.await(stallGrace)
		}
	}
}

// holders are the streams whose consumers could make room for a frame.
func (fl *inflow) holders(c *conn, s *stream, in *transport.Inbound) []*stream {
	if fl.buffered.Load()+int64(len(in.Raw)) > int64(fl.connLimit) {
		return c.streams()
	}
	return []*stream{s}
}

// mostStalled returns the stream whose consumer has left messages lying for longest, and how much
// longer it may. A stream that is alone in flight holds up nobody, so it may for long, or for ever.
// The stream is nil when there is none to give up.
func (fl *inflow) mostStalled(c *conn, streams []*stream) (slowest *stream, left time.Duration) {
	for _, s := range streams {
		timeout := sharedStallTimeout
		if c.isSole(s.id) {
			timeout = fl.stallTimeout
		}
		if l, ok := s.stallLeft(timeout); ok && timeout > 0 && (slowest == nil || l < left) {
			slowest, left = s, l
		}
	}
	return slowest, left
}

// await waits for a sign of room, for so long at most.
func (fl *inflow) await(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-fl.room:
	case <-timer.C:
	}
}
