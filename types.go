package ttrpc

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The messages Request, Response, KeyValue and StringList are generated from request.proto.

// File_request_proto is the descriptor of request.proto, under the name that it has had since
// v1.2.10.
var File_request_proto protoreflect.FileDescriptor

func init() {
	file_github_com_containerd_ttrpc_request_proto_init() // does nothing where it has run
	File_request_proto = File_github_com_containerd_ttrpc_request_proto
}

// Method handles a unary call. It decodes the request with unmarshal, which it may call more than
// once but not after it has returned, and returns the response message or an error.
//
// The client gets the error as a status. One that is a gRPC status, or wraps one, arrives with its
// code and details. For the errors of contexts it is Canceled or DeadlineExceeded, for io.EOF
// OutOfRange, for the other errors of package io FailedPrecondition, for os.ErrInvalid
// InvalidArgument, and for errors of files AlreadyExists, NotFound or PermissionDenied. Any other,
// and one that wraps an error of a context or of package io, is Unknown with its text. So is
// neither a message nor an error: (nil, nil) fails the call.
type Method func(ctx context.Context, unmarshal func(any) error) (any, error)

// Stream is a method in which a side sends a stream of messages.
type Stream struct {
	Handler         StreamHandler
	StreamingClient bool // the client sends any number of messages; else one
	StreamingServer bool // the server sends any number; else one, which the handler returns
}

// StreamHandler handles a streaming call. Its return ends the stream: with an error's status, as
// for a [Method], with the message it returns, or, where the server streams and it returns nil,
// without one. Where only the client streams, nil is an empty message.
type StreamHandler func(context.Context, StreamServer) (any, error)

// ServiceDesc is what a service consists of, by method name.
type ServiceDesc struct {
	Methods map[string]Method
	Streams map[string]Stream
}

// StreamDesc tells a client which sides of a stream send any number of messages.
type StreamDesc struct {
	StreamingClient bool
	StreamingServer bool
}

// StreamServer is a handler's side of a stream. SendMsg and RecvMsg may be called by any number of
// goroutines at once, until the handler returns.
type StreamServer interface {
	// SendMsg sends a message. It returns before the client has it, and where a handler sends many in
	// a row also before it is written, which the end of the call and Shutdown wait for. It waits while
	// half of the connection's backlog is unwritten, and where both sides know the protocol's
	// extensions also while the stream's window is full.
	SendMsg(m any) error
	// RecvMsg waits for the next message and decodes it into m. It returns io.EOF after the last.
	RecvMsg(m any) error
}

// ClientStream is a client's side of a stream. Its methods may be called by any number of
// goroutines at once.
type ClientStream interface {
	// CloseSend tells the server that there are no more messages. It waits until they are written.
	// On a stream that the server has ended it does nothing and returns nil: RecvMsg tells why.
	CloseSend() error
	// SendMsg sends a message. It returns when the message is written to the connection, which is
	// before the server has it, or when the stream's context ends meanwhile. Where both sides know the
	// protocol's extensions it also waits while the stream's window is full. On a stream that is over
	// it returns ErrStreamClosed, and RecvMsg tells why.
	SendMsg(m any) error
	// RecvMsg waits for the next message and decodes it into m. It returns io.EOF after the last, and
	// the server's status when the call has failed.
	RecvMsg(m any) error
}
