// Package ttrpc is a small RPC library for processes on one machine: it has gRPC's service
// definitions without HTTP/2, TLS or grpc's transport.
//
// A [Server] serves registered services on any number of listeners. A [Client] makes calls over one
// connection, any number at once; that of [Dial] connects by itself, and again.
// protoc-gen-go-ttrpc generates stubs for messages of google.golang.org/protobuf, and
// protoc-gen-gogottrpc for gogo's; one process, one server and one client can use both kinds.
// PROTOCOL.md describes the wire.
//
// # Concurrency
//
// Any goroutine may call all methods of Client and Server at any time. Of a stream, one goroutine
// may send while another receives; several that do the same take turns. What an unmarshal function
// or RecvMsg has filled in belongs to the caller, and so does a message that was passed to Call or
// SendMsg, once that has returned.
//
// Each call of a handler has a goroutine to itself and may block for as long as it likes. Later
// calls use that goroutine again. One that a handler leaves locked to its thread
// ([runtime.LockOSThread], as before setns) ends with the thread. Where the method has been brief
// for long, up to 16 other calls may have run there before that is noticed.
// Profiler labels and debug.SetPanicOnFault stay set. [WithServerGoroutinePerCall] gives each call
// a goroutine of its own.
//
// # Errors
//
// What a handler returns arrives as a gRPC status, for google.golang.org/grpc/status: [Method] says
// which. What fails before or on the way there is one of this package's errors, for [errors.Is], or
// the context's own. [StatusOf] has the status that any of them amounts to, and MESSAGES.md in the
// repository says of each text what it means and what to do.
//
// A call whose error is not a handler's may have run, unless [NotSent] says that no server has
// begun it. A client of [Dial] repeats by itself those for which it does.
//
// # The end of a call
//
// A call ends at the client when its context does, whatever the connection does. The context of its
// handler ends with the call's deadline, with the connection, with the context that [Server.Serve]
// was given, and by [Server.Close]; where both sides know the protocol's extensions, as those of
// this package do by default, also when the client gives the call up. After the handler's return it
// may end at any time. [Server.Shutdown] ends no context: it waits until the calls in flight have
// been answered, and [Server.Done] tells those that would go on for ever.
//
// # Systems
//
// The package works wherever Go does. Linux alone has abstract unix sockets and vsock. The
// credentials of a unix socket's peer, and so the UnixSocketRequire handshakes, are known on Linux,
// macOS and the BSDs; elsewhere these refuse every connection.
//
// # Resources
//
// An idle connection is a goroutine at either side and nothing else. Where one call follows another
// closely, whoever waits for the next frame asks the socket for some microseconds before it sleeps;
// one goroutine of the process does so at a time. A unix socket gets a send buffer of 512 KiB, as
// far as the system allows, when a frame of over 32 KiB does not fit into it. All buffers are
// bounded, by the options named With...Buffer, With...Backlog and With...Size.
package ttrpc

// How it is made. Each layer knows those above it in this list, and none below:
//
//	internal/wire        frames and envelopes as bytes
//	internal/transport   frames on a net.Conn: reading, and writing without blocking;
//	                     it knows no calls
//	internal/peer        whether the peer knows the extensions, and is alive
//	internal/reader      who reads a connection; it knows frames, and no calls
//	internal/runner      who runs a call on a server: a worker, or the one who reads
//	internal/flow        what a connection's streams hold, and what their senders are told
//	internal/recv        what has come for a call and was not taken, and how that has ended
//	internal/conn        one connection, for both sides: its calls by id, their streams, and the lock
//	internal/clientconn  a connection on which calls are made: their ids, and what a frame means
//	internal/serverconn  a connection on which calls are served: which run, and how it ends
//	internal/stats       what a handler of statistics is told of a call
//	roles                client*.go, and server*.go with services.go
//
// Beside them stand internal/codec (users' messages and their bytes), internal/message (their
// frames), internal/callerr (errors and their statuses) and internal/peercred (who is at the other
// end).
//
// A frame has one owner. A message is encoded once, into the frame that is written, and decoded out
// of the frame that was read. Whoever has bytes writes them: Post puts a frame behind the backlog,
// under the lock that makes the order, and what it returns is flushed by whoever has posted. A
// flush never blocks on a descriptor.
//
// One goroutine at a time reads a connection: its loop, or while that waits in the poller, one who
// waits for a frame of its own (internal/reader). A call is in its connection's map until somebody
// removes it, and whoever does ends it. On a server the loop runs the call that it has read last,
// or a brief method, and workers run the others (internal/runner). CONTRIBUTING.md has the map, the
// way of a call through it, and the order of locks.
