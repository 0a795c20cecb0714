// Package grpcttrpc runs the code that protoc-gen-go-grpc generates over ttrpc.
//
// A [ClientConn] is a grpc.ClientConnInterface over a [ttrpc.Client], and a [Registrar] is a
// grpc.ServiceRegistrar over a [ttrpc.Server]: generated stubs, services that were written for
// grpc-go, and interceptors work on them unchanged. Peers need not know: on the wire it is plain
// ttrpc, so stubs of protoc-gen-go-ttrpc call such services and the other way round.
//
// # What travels
//
// Unary calls and all three kinds of streams, deadlines, the caller's metadata, and statuses with
// their details. Values of metadata keys that end in -bin are base64 on the wire, as in gRPC.
//
// # What does not
//
// ttrpc has no headers and trailers: nothing but messages and a status comes back from a server.
// A handler that sets some gets [ErrNoResponseMetadata], or nothing happens, see
// [DiscardResponseMetadata]. A client finds none: grpc.Header, grpc.Trailer and the stream's
// methods of these names give an empty metadata.MD, at once.
//
// A server runs a handler by its registration. So a client must call a method as what it is: a
// unary method called as a stream, which grpc-go allows, fails or loses messages.
//
// # Call options
//
//   - Peer, OnFinish, MaxCallSendMsgSize, MaxCallRecvMsgSize, PerRPCCredentials, ForceCodec,
//     ForceCodecV2 and CallCustomCodec work. A codec's name does not reach the server, which
//     decodes protobuf.
//   - WaitForReady works on a client of [ttrpc.Dial].
//   - Header and Trailer give an empty metadata.MD.
//   - CallContentSubtype, but for proto, and CallAuthority fail the call with Unimplemented.
//   - UseCompressor and MaxRetryRPCBufferSize are ignored: the result is the same. StaticMethod and
//     EmptyCallOption have nothing to change.
//
// # What a handler may call
//
//   - grpc.Method, grpc.MethodFromServerStream, metadata.FromIncomingContext and peer.FromContext
//     work, and grpc.ServerTransportStreamFromContext returns what they need.
//   - grpc.SetHeader, grpc.SendHeader, grpc.SetTrailer, and SetHeader and SendHeader of a stream
//     return [ErrNoResponseMetadata]. A stream's SetTrailer, which returns nothing, fails the call
//     with it, unless the handler does. Without metadata, and with [DiscardResponseMetadata], they
//     do nothing.
//   - grpc.SetSendCompressor and grpc.ClientSupportedCompressors return an error.
//
// # Around calls
//
// Interceptors of grpc's are options of [NewClientConn] and [NewRegistrar], and a stats.Handler
// becomes one of ttrpc's by [StatsHandler]. Other options of grpc.NewServer and grpc.NewClient are
// of its own transport.
//
// # Errors
//
// All errors of a ClientConn are statuses for google.golang.org/grpc/status: a context's end is
// Canceled or DeadlineExceeded, and a connection that is gone is Unavailable. They wrap their
// cause, so errors.Is finds [ttrpc.ErrClosed], context.Canceled and the like.
package grpcttrpc
