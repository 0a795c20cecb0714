package ttrpc

import "github.com/containerd/ttrpc/internal/runner"

// This is what the runner knows of a call and of its connection, beside Serve.

// Conn implements [runner.Call].
func (call *serverCall) Conn() *runner.Conn { return &call.sc.runs }

// Method implements [runner.Call].
func (call *serverCall) Method() *runner.Method { return &call.method.runs }

// Size implements [runner.Call].
func (call *serverCall) Size() int { return call.request.Cost() }

// MayWait implements [runner.Call]: the handler of a stream waits for its messages.
func (call *serverCall) MayWait() bool { return call.stream != nil }

// ReadLoop implements [runner.Source].
func (sc *serverConn) ReadLoop(inside bool, leave func() bool) (ended bool) {
	return sc.conn.ReadLoop(inside, leave)
}

// ReadAsWorker implements [runner.Source].
func (sc *serverConn) ReadAsWorker(done func() bool) { sc.conn.ReadAsWorker(done) }

// MayRun implements [runner.Source].
func (sc *serverConn) MayRun() (here, instead bool) { return sc.conn.MayRun() }

// Finished implements [runner.Source].
func (sc *serverConn) Finished() { sc.done() }
