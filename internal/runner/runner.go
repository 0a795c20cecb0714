// Package runner says who runs a call on a server, and has it run: a goroutine that has run others
// before, or the one who reads the connection. What a call is, and what it answers, it does not
// know.
package runner

import (
	"time"

	"github.com/containerd/ttrpc/internal/threads"
	"github.com/containerd/ttrpc/internal/transport"
)

// Call is a call that has been read and is to run. It embeds a Record.
type Call interface {
	// Serve runs the call to its end, but for the flushing of its answer. began is the clock's value.
	// The call is nobody's afterwards: neither it nor its Record may be used.
	Serve(began time.Duration) transport.Unwritten

	record() *Record
}

// Record is what a Call embeds: what there is to know of it here. SetRecord comes before Run.
type Record struct {
	conn    *Conn
	method  *Method
	size    int
	mayWait bool

	next Call // in the queue; guarded by the lock of workers
}

// SetRecord says on which connection the call came, of which method it is, how many bytes its
// request has, and whether its handler may wait for frames that the one who reads has yet to read.
func (r *Record) SetRecord(c *Conn, m *Method, size int, mayWait bool) {
	*r = Record{conn: c, method: m, size: size, mayWait: mayWait}
}

func (r *Record) record() *Record { return r }

// Source is a connection that is read for its calls.
type Source interface {
	// ReadLoop has the caller be the loop until the connection has ended, or leave says so. inside
	// says that the caller has the reader's role already, which another loop may have had before it.
	ReadLoop(inside bool, leave func() bool) (ended bool)
	// ReadAsWorker has a worker that is free read until done, while the next request is likely to come
	// at once.
	ReadAsWorker(done func() bool)
	// MayRun is asked about a call that was read: here says that the one who reads may run it and read
	// on, instead that he may run it and leave the reading to others.
	MayRun() (here, instead bool)
}

// Runner runs the calls of a server. Init comes first.
type Runner struct {
	workers workers
	inline  inline //inline:
}

// Init says whether each call gets a goroutine of its own, which runs nothing else.
func (r *Runner) Init(goroutinePerCall bool) { r.workers.fresh = goroutinePerCall }

// SetOpen says whether the server has connections. With the last one all workers end that run
// nothing, and the others when they return from their calls.
func (r *Runner) SetOpen(open bool) { r.workers.setOpen(open) }

// Method is the record of a method: what its runs have been like. The zero value knows nothing.
type Method struct {
	use     threads.Use
	brevity //inline:
}

// hasRun counts a run of so many bytes, the goroutine's so many. It reports whether the handler has
// left the goroutine locked to its thread.
func (m *Method) hasRun(took time.Duration, size, runs int) (locked bool) {
	locked = m.use.WorthLooking(took, runs) && m.use.Looked(threads.IsLocked())
	m.observe(took, size, locked) //inline: else _ = size
	return locked
}

// Conn is one connection's part of this. The zero value is ready for Serve.
type Conn struct {
	_ [0]func() // no code is made that compares two of these

	runner *Runner
	t      *transport.Transport
	source Source
	ended  func()

	own        Call // what a worker that reads has read for itself; the reader's
	inlineConn      //inline:
}

// Serve has the caller read a connection, and become one of the workers. It returns when the worker
// is not needed any more. The last one that reads the connection calls ended.
func (c *Conn) Serve(r *Runner, t *transport.Transport, source Source, ended func()) {
	c.runner, c.t, c.source, c.ended = r, t, source, ended
	r.workers.work(errand{read: c, inside: true})
}

// Run has a call run: by the one that reads, who calls it, when it is the last of a read and he is
// a worker, or by another. It returns false when another goroutine is the loop now.
func (c *Conn) Run(call Call) bool {
	here, instead := c.source.MayRun()
	if here {
		ran, gone := c.runner.inline.run(c, call) //inline:
		if ran {                                  //inline:
			return !gone //inline:
		} //inline:
	}
	if instead && c.own == nil && c.t.CanTry() && !c.t.HasUnread() && !c.runner.workers.fresh {
		c.own = call
	} else {
		c.runner.workers.run(call)
	}
	return true
}

// Handled is called by the one that reads, when the frames of one read have been handled, and
// before a wait between them. It reports whether the next one is likely to come at once. It has
// nothing to do where whoever posts an answer flushes it.
func (c *Conn) Handled() (soon bool) {
	soon = c.flushAnswers() //inline:
	return soon
}
