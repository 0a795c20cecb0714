package ttrpc

import (
	"context"
	"net"
	"time"
)

// StatsHandler is told of connections and calls: see [WithServerStats] and [WithClientStats]. It is
// meant for metrics, traces and logs, and has the shape of grpc's stats.Handler.
//
// Its methods are called by any number of goroutines at once, under no lock, and by those that do
// the work: a method that blocks holds up its call, and maybe its connection. They may make calls.
// An event, and the message in it, is good until the method returns, or else is to be copied.
//
// A call has one Begin, any number of payloads, and one End, which is the last. A server's are told
// before its answer leaves, so a client that has the answer finds them all told.
type StatsHandler interface {
	// TagConn returns ctx or a context derived from it, for the HandleConn of this connection. On a
	// server it is the parent of the contexts of all its calls, and ctx is derived from that which
	// Serve was given.
	TagConn(ctx context.Context, info *ConnInfo) context.Context
	// HandleConn is told of a *[ConnBegin], before the handshake, and of a *[ConnEnd].
	HandleConn(ctx context.Context, event ConnEvent)
	// TagCall returns ctx or a context derived from it, for the HandleCall of this call. On a server
	// the handler and its interceptors have it, on a client the interceptors, and the metadata in it
	// is what travels along.
	TagCall(ctx context.Context, info *CallInfo) context.Context
	// HandleCall is told of a *[CallBegin], *[InPayload], *[OutPayload] or *[CallEnd].
	HandleCall(ctx context.Context, event CallEvent)
}

// ConnInfo describes a connection to [StatsHandler.TagConn].
type ConnInfo struct {
	Client                bool     // it is a client's end
	LocalAddr, RemoteAddr net.Addr // nil where the net.Conn knows none
}

// CallInfo describes a call to [StatsHandler.TagCall].
type CallInfo struct {
	Client     bool   // it is made here, and not served
	FullMethod string // "/service/method"
	// StreamingClient and StreamingServer are the sides that send a stream of messages; where neither
	// does it is a unary call.
	StreamingClient, StreamingServer bool
	// Unregistered says that the server has no such method: a client has named it, it can be any text.
	Unregistered bool
}

// ConnEvent is a *[ConnBegin] or a *[ConnEnd]. Others may come in later versions.
type ConnEvent interface{ connEvent() }

// CallEvent is a *[CallBegin], *[InPayload], *[OutPayload] or *[CallEnd]. Others may come in later
// versions.
type CallEvent interface{ callEvent() }

// ConnBegin says that a connection is there. A client of [Dial] has any number of them.
type ConnBegin struct {
	Client bool
	Time   time.Time
}

// ConnEnd says that a connection is over, by whatever side's doing.
type ConnEnd struct {
	Client     bool
	Begin, End time.Time
	Err        error // why: nil if it was merely closed
}

// CallBegin says that a call begins.
type CallBegin struct {
	CallInfo
	Time time.Time
}

// InPayload says that a message has been received and decoded. For a message that a handler or a
// stream's user does not take there is none.
type InPayload struct {
	Client   bool
	Message  any // as it was decoded
	Size     int // bytes of the message
	WireSize int // bytes of its frame, the header included, and the envelope where it has one
	Time     time.Time
}

// OutPayload says that a message is on its way. An attempt of a call that is made again has its
// own.
type OutPayload struct {
	Client   bool
	Message  any // as it was given; nil is an empty one
	Size     int // bytes of the message
	WireSize int // as InPayload's
	Time     time.Time
}

// CallEnd says that a call is over, also one that was refused: by a server without the method, or
// over its limits, or about to shut down. A client's stream is over with the last result of its
// RecvMsg, the end of its context or of its connection, whichever is first; what is received
// afterwards is not told.
type CallEnd struct {
	CallInfo
	Begin, End time.Time
	// Err is nil, or the status error that the call's amounts to: see [StatusOf]. On a server it is
	// what the client is answered.
	Err error
	// RemoteAddr is the other end of the connection; nil where the call has not come to one.
	RemoteAddr net.Addr
}

func (*ConnBegin) connEvent()  {}
func (*ConnEnd) connEvent()    {}
func (*CallBegin) callEvent()  {}
func (*InPayload) callEvent()  {}
func (*OutPayload) callEvent() {}
func (*CallEnd) callEvent()    {}
