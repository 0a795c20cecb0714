//go:build go1.25

package transport

import (
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
	"github.com/containerd/ttrpc/internal/wire"
)

// hold is what somebody has to do with a backlog next.
type hold int

const (
	nothing   hold = iota
	comes          // the one who writes, who takes the next buffer
	writes         // the one who writes, with a buffer in hand
	waits          // the one who waits, for a channel
	wakes          // the one who waits, whose channel is closed
	satisfied      // the one who waits has returned
)

const (
	modelPosts = 3 // frames that are posted at the most
	modelWrite = 2 // of them, the one who waits wants so many to be written
)

// sendWorld is a backlog and those who use it, as values, from which both can be made again. A
// frame is wire.HeaderLen bytes.
type sendWorld struct {
	state   sendState
	posted  int  // frames, ever
	queued  int  // frames in nobody's hands
	inHand  int  // frames in the hands of whoever writes
	lost    int  // frames that are not written when it is stopped
	owed    int  // flushes, by those who have posted
	writer  hold // nothing, comes, writes
	waiter  hold // nothing, waits, wakes, satisfied: in WaitWritten
	closing bool // somebody has called closeWhenFlushed
	flushed int  // how often the end was told by written or closeWhenFlushed
	failed  int  // how often by Stop
}

// unwritten is how many frames are. The backlog does not care for it once it is stopped.
func (w *sendWorld) unwritten() int { return w.queued + w.inHand + w.lost }

// sendModel explores all worlds that can be reached, one step of somebody after the other.
type sendModel struct {
	t     *testing.T
	seen  map[sendWorld]bool
	todo  []sendWorld
	edges map[string]bool
}

// run has somebody do one thing to the backlog in a world, and files the world that it leads to.
func (m *sendModel) run(w sendWorld, event string, do func(b *backlog, next *sendWorld)) {
	b := &backlog{limit: 1, state: w.state, posted: uint64(w.posted * wire.HeaderLen)}
	b.unwritten = w.unwritten() * wire.HeaderLen
	if w.state == sendStopped || w.state == sendFlushed {
		b.sendErr = ErrDone
	}
	for range w.queued {
		b.out.Push(wire.EndFrame())
		b.outFrames++
	}
	var space chan struct{}
	if w.waiter == waits || w.waiter == wakes {
		b.watching = 1
	}
	if w.waiter == waits {
		space = make(chan struct{})
		b.space = space
	}
	next := w
	do(b, &next)
	if w.waiter == waits && isClosed(space) {
		next.waiter = wakes
	}
	next.state, next.queued = b.state, b.out.Bytes()/wire.HeaderLen
	if next.state == sendStopped {
		next.lost = w.unwritten() - next.inHand
	}
	b.out.Clear()
	if next.state != w.state {
		m.edges[fmt.Sprintf("%d %s %d", w.state, event, next.state)] = true
	}
	m.check(w, event, b, next)
	if !m.seen[next] {
		m.seen[next] = true
		m.todo = append(m.todo, next)
	}
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// check wants what has to hold in every world.
func (m *sendModel) check(from sendWorld, event string, b *backlog, w sendWorld) {
	over := w.state == sendFlushed || w.state == sendStopped
	faults := map[string]bool{
		"the state does not tell whether somebody writes": !over &&
			(w.writer != nothing) != (w.state == sendWriting || w.state == sendWritingLast),
		"frames are left to nobody":          !over && w.queued > 0 && w.writer == nothing && w.owed == 0,
		"frames are kept":                    over && w.queued > 0,
		"there are no frames for who writes": w.writer == comes && w.queued == 0 && !over,
		"bytes are miscounted":               !over && b.unwritten != w.unwritten()*wire.HeaderLen,
		"it has ended with frames unwritten": w.state == sendFlushed && w.unwritten() > 0,
		"it does not end": w.closing && !over && w.unwritten() == 0 && w.writer == nothing ||
			w.closing && (w.state == sendIdle || w.state == sendWriting),
		"it has an error while it is up, or none at its end": over != (b.sendErr != nil),
		"the end is not told once, or told amid":             w.flushed+w.failed > 1 || over != (w.flushed+w.failed == 1),
		"Flushed is wrong":                                   b.Flushed() != (w.flushed == 1),
		"who waits is not let":                               w.waiter == waits && (over || w.posted-w.unwritten() >= modelWrite),
	}
	for fault, is := range faults {
		if is {
			m.t.Fatalf("%+v by %s became %+v: %s", from, event, w, fault)
		}
	}
}

func (m *sendModel) post(w sendWorld) {
	if w.posted == modelPosts {
		return
	}
	m.run(w, "post", func(b *backlog, next *sendWorld) {
		_, err := b.post(wire.EndFrame())
		testkit.Equal(m.t, err != nil, b.sendErr != nil)
		if err == nil {
			next.posted++
			next.owed++
		}
	})
}

// flush is of somebody who has posted.
func (m *sendModel) flush(w sendWorld) {
	if w.owed == 0 {
		return
	}
	m.run(w, "claim", func(b *backlog, next *sendWorld) {
		next.owed--
		if b.claim() {
			testkit.Equal(m.t, w.writer, nothing)
			next.writer = comes
		}
	})
	m.run(w, "claim", func(b *backlog, next *sendWorld) {
		next.owed--
		if f := b.begin(); f != nil {
			testkit.Equal(m.t, w.writer, nothing)
			next.writer, next.inHand = writes, f.Len()/wire.HeaderLen
			f.Free()
		}
	})
}

func (m *sendModel) write(w sendWorld) {
	switch w.writer {
	case comes:
		m.run(w, "next", func(b *backlog, next *sendWorld) {
			f := b.next()
			testkit.Equal(m.t, f == nil, w.state == sendStopped)
			if next.writer = nothing; f != nil {
				next.writer, next.inHand = writes, f.Len()/wire.HeaderLen
				f.Free()
			}
		})
	case writes:
		m.run(w, "written", func(b *backlog, next *sendWorld) {
			more, flushed := b.written(w.inHand * wire.HeaderLen)
			next.inHand, next.writer = 0, nothing
			if more {
				next.writer = comes
			}
			if flushed {
				next.flushed++
			}
		})
		m.stop(w, true)
	}
}

// stop is of anybody, or of the one whose write has failed. The first one is told.
func (m *sendModel) stop(w sendWorld, writer bool) {
	m.run(w, "stop", func(b *backlog, next *sendWorld) {
		if writer {
			next.inHand, next.writer = 0, nothing
		}
		if b.Stop(errors.New("broken")) {
			next.failed++
		}
	})
}

func (m *sendModel) close(w sendWorld) {
	m.run(w, "close", func(b *backlog, next *sendWorld) {
		next.closing = true
		if b.closeWhenFlushed() {
			next.flushed++
		}
	})
}

// wait is of one who is in WaitWritten, from its beginning or from when he is woken.
func (m *sendModel) wait(w sendWorld) {
	if w.waiter != nothing && w.waiter != wakes {
		return
	}
	m.run(w, "wait", func(b *backlog, next *sendWorld) {
		b.watching = 1
		const want = modelWrite * wire.HeaderLen
		ch := b.spaceUnless(func() bool { return b.posted-uint64(b.unwritten) >= want })
		next.waiter = satisfied
		if ch != nil {
			next.waiter = waits
		}
	})
}

// However the steps of those who post, flush, write, close, stop and wait follow each other: one
// writes at a time, no frame is left to nobody, the end is told once and then nobody waits, and
// what happens is what sendState's table says.
func TestSendStateIsItsTable(t *testing.T) {
	m := &sendModel{t: t, seen: map[sendWorld]bool{{}: true}, todo: []sendWorld{{}}, edges: map[string]bool{}}
	for len(m.todo) > 0 {
		w := m.todo[0]
		m.todo = m.todo[1:]
		m.post(w)
		m.flush(w)
		m.write(w)
		m.close(w)
		m.stop(w, false)
		m.wait(w)
	}
	testkit.Equal(t, fmt.Sprint(m.edges), fmt.Sprint(sendTable()))
	if len(m.seen) < 300 {
		t.Errorf("only %d worlds were seen", len(m.seen))
	}
}

// sendTable is the table at sendState.
func sendTable() map[string]bool {
	table := map[string]bool{}
	for _, edge := range []struct {
		from  sendState
		event string
		to    sendState
	}{
		{sendIdle, "claim", sendWriting},
		{sendWriting, "written", sendIdle},
		{sendIdle, "close", sendClosing},
		{sendIdle, "close", sendFlushed},
		{sendWriting, "close", sendWritingLast},
		{sendClosing, "claim", sendWritingLast},
		{sendWritingLast, "written", sendFlushed},
		{sendIdle, "stop", sendStopped},
		{sendWriting, "stop", sendStopped},
		{sendClosing, "stop", sendStopped},
		{sendWritingLast, "stop", sendStopped},
	} {
		table[fmt.Sprintf("%d %s %d", edge.from, edge.event, edge.to)] = true
	}
	return table
}
